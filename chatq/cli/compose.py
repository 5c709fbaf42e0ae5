"""The composition root: the one place where connections and services are made from settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import Redis
from sqlalchemy import Engine

from chatq.cli.redis_services import RedisServices, build_redis, check_redis
from chatq.queue.connection import connect
from chatq.queue.guard import check_installation, check_lanes
from chatq.settings import Settings, without_password
from chatq.store import schema
from chatq.store.engine import create_engine
from chatq.store.installation import installation_id

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Services(RedisServices):
    """What a role works with. Nothing has connected yet; every process makes its own."""

    engine: Engine

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
    of_redis = build_redis(settings)
    engine = create_engine(settings.database_url, full_sync=of_redis.durability != "memory")
    return Services(settings, of_redis.redis_url, of_redis.redis, of_redis.durability, engine)


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
