"""The composition root: the one place where connections and services are made from settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import Redis
from sqlalchemy import Engine

from chatq.queue.connection import connect, find_redis, recorded_url, translated
from chatq.queue.edge import Edge
from chatq.queue.guard import check_installation, check_lanes
from chatq.queue.pressure import Pressure
from chatq.settings import Durability, Settings, without_password
from chatq.store import schema
from chatq.store.engine import create_engine
from chatq.store.installation import installation_id

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services:
    """What a role works with. Nothing has connected yet; every process makes its own."""

    settings: Settings
    redis_url: str
    redis: Redis
    engine: Engine
    durability: Durability

    def edge(self) -> Edge:
        """Return an edge with a connection of its own.

        Raises:
            RedisError: Redis does not answer, or cannot give the durability.
        """
        pressure = Pressure(self.settings.lanes, self.settings.max_queue_depth)
        return Edge(connect(self.redis_url), self.durability, pressure, self.settings.rate_limit)

    def tokens(self) -> Tokens | None:
        """Return what checks tokens; None in development mode."""
        if not self.settings.asks_for_tokens:
            return None
        from chatq.access.jwks import KeySet  # noqa: PLC0415  # heavy
        from chatq.access.tokens import Tokens  # noqa: PLC0415  # heavy

        url = self.settings.jwt_jwks_url
        return Tokens(
            secret=self.settings.jwt_secret,
            keys=None if url is None else KeySet(url),
            audience=self.settings.jwt_audience,
        )

    def bus_redis(self) -> Redis:
        """Return a client of its own for the bus, which brings along how long it waits for each message."""
        return connect(self.redis_url)


def build(settings: Settings) -> Services:
    """Return the services that these settings describe.

    Raises:
        BadSetting: ``REDIS_URL`` is no URL.
    """
    url = find_redis(settings)
    durability = settings.durability or ("aof" if _is_embedded(settings, url) else "memory")
    return Services(
        settings=settings,
        redis_url=url,
        redis=connect(url),
        engine=create_engine(settings.database_url, full_sync=durability != "memory"),
        durability=durability,
    )


def redis_in_words(services: Services) -> str:
    """Return which Redis the services use, without its password, and whose it is."""
    settings, url = services.settings, services.redis_url
    whose = f" (embedded, of {settings.data_dir})" if _is_embedded(settings, url) else ""
    return f"{without_password(url)}{whose}"


def _is_embedded(settings: Settings, url: str) -> bool:
    """Tell whether the Redis that was found is the data directory's own."""
    return settings.redis_url is None and recorded_url(settings.data_dir) == url


def check_redis(services: Services) -> None:
    """Check that Redis answers.

    Raises:
        RedisError: it does not, or it refuses.
    """
    with translated(services.redis_url):
        services.redis.ping()


def check(services: Services) -> None:
    """Check, before a role starts, that Redis and the database answer and belong together.

    Raises:
        RedisError: Redis cannot be used (exit code 3).
        DatabaseError: the database cannot be used, is out of date, or is another installation's (4).
        BadSetting: Redis has another number of lanes (2).
    """
    check_redis(services)
    schema.check(services.engine)
    check_belonging(services)


def check_belonging(services: Services) -> None:
    """Check that Redis and the database belong together, and record it in a Redis that knows of none.

    Raises:
        RedisError: Redis cannot be used.
        DatabaseError: the database cannot be used, or Redis belongs to another one.
        BadSetting: Redis has another number of lanes.
    """
    database = without_password(services.settings.database_url)
    check_installation(services.redis, installation_id(services.engine), database)
    check_lanes(services.redis, services.settings.lanes)
