"""Connections to Redis: which one, how, and what chatq calls its faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError
from redis.retry import Retry

from chatq.errors import BadSetting, RedisUnavailable, RedisUnfit
from chatq.settings import Settings, without_password

DEFAULT_URL = "redis://localhost:6379/0"
RECORD = "redis.url"
"""File in the data directory that records the embedded server's URL; stays when the server stops."""


def find_redis(settings: Settings) -> str:
    """Return the URL of the Redis to use: the configured one, else the embedded one, else localhost's."""
    if settings.redis_url is not None:
        return settings.redis_url
    return recorded_url(settings.data_dir) or DEFAULT_URL


def recorded_url(data_dir: Path) -> str | None:
    """Return the URL of the embedded server of this data directory, or None if there never was one.

    Raises:
        BadSetting: the directory, or the file in it, cannot be read.
    """
    record = data_dir / RECORD
    try:
        return record.read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadSetting(f"CHATQ_DATA_DIR: {str(record)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadSetting(f"CHATQ_DATA_DIR: {str(record)!r} does not hold a URL.") from None


def connect(url: str, *, timeout: float | None = 5.0) -> redis.Redis:
    """Return a client for ``url``; nothing connects yet.

    ``timeout`` bounds, in seconds, the wait for each answer; None waits as long as it takes, for blocking
    commands. A command whose connection broke is sent once more at once: everything that chatq sends may
    be repeated.

    Raises:
        BadSetting: ``url`` is no Redis URL.
    """
    # A unix socket knows no keepalive, and redis-py no such argument for it.
    network: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        client = redis.Redis.from_url(
            url,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=2.0,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            **network,
        )
        # Made for the sake of its arguments, some of which stand in the URL; it does not connect.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError) as error:
        raise BadSetting(f"REDIS_URL: {without_password(url)!r} is no Redis URL: {error}") from None
    return client


def as_text(value: bytes | str | None) -> str:
    """Return an answer of Redis, which redis-py types as either, as text; '' for none."""
    return value.decode() if isinstance(value, bytes) else value or ""


def as_bytes(value: bytes | str | None) -> bytes:
    """Return an answer of Redis, which redis-py types as either, as it is, though it may be no text; b'' for none."""
    return value.encode() if isinstance(value, str) else value or b""


@contextmanager
def translated(url: str = "") -> Iterator[None]:
    """Turn redis-py's errors into chatq's.

    Raises:
        RedisUnavailable: no answer, or not in time, or the server is still loading.
        RedisUnfit: it answers, but refuses: password, permission, read-only replica, out of memory; or what answers is
            no Redis.
    """
    where = f" at {without_password(url)}" if url else ""
    try:
        yield
    except (AuthenticationError, NoPermissionError) as error:
        reason = str(error).rstrip(".")
        raise RedisUnfit(f"Redis{where} refuses access: {reason}. Check REDIS_URL or REDIS_PASSWORD.") from error
    except (redis.ReadOnlyError, redis.OutOfMemoryError) as error:
        raise RedisUnfit(f"Redis{where} refuses to write: {error}") from error
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise RedisUnavailable(f"Redis{where} does not answer: {error}") from error
    except InvalidResponse as error:
        raise RedisUnfit(f"What answers{where} is no Redis: {error}") from error
    except redis.RedisError as error:
        raise RedisUnfit(f"Redis{where} refuses: {error}") from error
