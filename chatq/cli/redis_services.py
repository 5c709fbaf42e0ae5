"""What the commands work with that need Redis but no database, whose libraries take long to import."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from chatq.errors import RedisUnavailable
from chatq.queue.connection import connect, find_redis, recorded_url, translated
from chatq.queue.edge import Edge
from chatq.queue.pressure import Pressure
from chatq.settings import Durability, Settings, without_password


@dataclass(frozen=True, slots=True)
class RedisServices:
    """What there is to work with. Nothing has connected yet; every process makes its own."""

    settings: Settings
    redis_url: str
    redis: Redis
    durability: Durability

    def edge(self) -> Edge:
        """Return an edge with a connection of its own.

        Raises:
            RedisError: Redis does not answer, or cannot give the durability.
        """
        pressure = Pressure(self.settings.lanes, self.settings.max_queue_depth)
        return Edge(connect(self.redis_url), self.durability, pressure, self.settings.rate_limit)


def build_redis(settings: Settings) -> RedisServices:
    """Return the services that these settings describe.

    Raises:
        BadSetting: ``REDIS_URL`` is no URL.
    """
    url = find_redis(settings)
    durability = settings.durability or ("aof" if _is_embedded(settings, url) else "memory")
    return RedisServices(settings, url, connect(url), durability)


def redis_in_words(services: RedisServices) -> str:
    """Return which Redis the services use, without its password, and whose it is."""
    settings, url = services.settings, services.redis_url
    whose = f" (embedded, of {settings.data_dir})" if _is_embedded(settings, url) else ""
    return f"{without_password(url)}{whose}"


def _is_embedded(settings: Settings, url: str) -> bool:
    """Tell whether the Redis that was found is the data directory's own."""
    return settings.redis_url is None and recorded_url(settings.data_dir) == url


def check_redis(services: RedisServices) -> None:
    """Check that Redis answers.

    Raises:
        RedisError: it does not, which says what to do, or it refuses.
    """
    try:
        with translated(services.redis_url):
            services.redis.ping()
    except RedisUnavailable as error:
        raise RedisUnavailable(f"{error.detail.rstrip('.')}. {_advice(services.settings)}") from error


def _advice(settings: Settings) -> str:
    if settings.redis_url is not None:
        return "`chatq redis-check` says what may be the cause."
    directory = settings.data_dir
    if recorded_url(directory) is not None:
        return f"It is the one of {directory}, which `chatq all` starts and ends."
    return (
        f"No Redis is configured, and no `chatq all` has run with the data directory {directory}: start one, "
        "name its directory with CHATQ_DATA_DIR, or a Redis with REDIS_URL."
    )
