"""What a Redis says about itself, and how it behaves: the facts on which it is judged."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import redis

from chatq.queue import keys

PINGS = 21
"""How often the latency is measured; odd, so that the median is one of them."""

_WRITE = "redis.call('SET', KEYS[1], '1', 'PX', 1000) return redis.call('DEL', KEYS[1])"
"""A write as chatq's own are: by a script. The key is gone afterwards, at the latest after a second."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was learnt of one Redis."""

    info: Mapping[str, Any]
    """``INFO``, as redis-py parses it."""
    config: Mapping[str, str]
    """Some of ``CONFIG``; empty where the server does not tell, as many hosted ones do not."""
    refusal: str | None
    """What the server says to a script that writes one key; None if it does it."""
    pings: tuple[float, ...]
    """Seconds that each of some round trips took."""


def gather(client: redis.Redis) -> Facts:
    """Ask a Redis everything that it is judged on.

    Raises:
        redis.RedisError: it cannot be reached, refuses access, or is not ready.
        OSError: it cannot be reached.
    """
    # The first command also connects, so PING is not timed before it.
    info = client.info()
    return Facts(info=info, config=_config(client), refusal=_refusal(client), pings=_pings(client))


def _config(client: redis.Redis) -> dict[str, str]:
    try:
        answer = client.config_get("appendfsync", "save")
    except redis.ResponseError:
        return {}
    return {str(name): str(value) for name, value in answer.items()}


def _refusal(client: redis.Redis) -> str | None:
    try:
        client.eval(_WRITE, 1, f"{keys.CHATQ}:check:{uuid4().hex}")
    except redis.ResponseError as error:
        return str(error)
    return None


def _pings(client: redis.Redis) -> tuple[float, ...]:
    took = []
    for _ in range(PINGS):
        start = time.perf_counter()
        client.ping()
        took.append(time.perf_counter() - start)
    return tuple(took)
