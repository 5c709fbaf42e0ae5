"""The installation that is measured: what a run needs of it, whether it is idle, and what it is."""

from __future__ import annotations

from typing import Protocol

from redis import Redis
from sqlalchemy import Engine

from chatq.errors import ChatqError
from chatq.ops.bench.report import Installation
from chatq.ops.bench.surroundings import database_server, redis_server
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.queue.edge import Edge
from chatq.settings import Durability, Settings, without_password


class Services(Protocol):
    """Settings and connections, made by the composition root, and checked."""

    @property
    def settings(self) -> Settings:
        """The installation's settings."""

    @property
    def redis_url(self) -> str:
        """Which Redis it is."""

    @property
    def redis(self) -> Redis:
        """A client for short questions."""

    @property
    def engine(self) -> Engine:
        """The database."""

    @property
    def durability(self) -> Durability:
        """What a 202 has survived."""

    def edge(self) -> Edge:
        """Return an edge with a connection of its own."""


def check_idle(services: Services) -> None:
    """Make sure that nothing waits whose work would be taken for the run's own, and that workers may work.

    Raises:
        ChatqError: something does, or they may not.
        RedisError: Redis does not answer.
    """
    lists = [keys.queue(keys.MESSAGES)]
    for lane in range(services.settings.lanes):
        lists += [keys.queue(keys.lane_name(lane)), keys.claims(lane)]
    with translated(services.redis_url), services.redis.pipeline(transaction=False) as pipe:
        pipe.exists(f"{keys.RQ}:suspended")
        for name in lists:
            pipe.llen(name)
        suspended, *lengths = pipe.execute()
    if waiting := sum(lengths):
        jobs = "message job waits" if waiting == 1 else "message jobs wait"
        raise ChatqError(
            f"{waiting} {jobs} in this installation, and the figures would be theirs. Try again when nothing waits: "
            "`chatq worker --burst` does what is there."
        )
    if suspended:
        raise ChatqError("The workers of this installation are suspended; `rq resume` lets them work.")


def describe(services: Services) -> Installation:
    """Return what the installation is.

    Raises:
        RedisError: Redis does not answer.
        DatabaseError: the database does not answer.
    """
    settings = services.settings
    return Installation(
        redis=redis_server(services.redis),
        redis_url=without_password(services.redis_url),
        database=database_server(services.engine),
        database_url=without_password(settings.database_url),
        durability=services.durability,
        lanes=settings.lanes,
        api_workers=max(1, settings.api_workers),
        other_workers=_count_workers(services),
    )


def _count_workers(services: Services) -> int:
    with translated(services.redis_url):
        workers = services.redis.smembers(f"{keys.RQ}:workers:{keys.lane_name(0)}")
        return sum(services.redis.exists(worker) for worker in workers)
