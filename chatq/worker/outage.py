"""Surviving outages: what a worker does while Redis or the database is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import redis
import structlog
from sqlalchemy import Engine

from chatq.errors import DatabaseError, OtherInstallation, RedisError
from chatq.store.engine import ping
from chatq.worker.signals import StopSignal

MAX_PAUSE_SECONDS = 1.0

log = structlog.get_logger("chatq.worker")


def _no_beat() -> None:
    """Show nobody that the worker lives."""


class Survivor:
    """Calls what needs Redis or the database, and waits until they are back when they are not there.

    ``beat`` is called again and again meanwhile: whoever waits lives.
    """

    def __init__(
        self, client: redis.Redis, engine: Engine | None, stop: StopSignal, beat: Callable[[], object] = _no_beat
    ) -> None:
        self._client = client
        self._beat = beat
        self._engine = engine
        self._stop = stop
        self._pause = 0.0

    def __call__(self, action: Callable[[], bool]) -> bool:
        """Call ``action`` and return its answer; if something was away, say so, wait for it, return False.

        Raises:
            OtherInstallation: Redis belongs to another database by now; waiting does not mend that.
        """
        try:
            answer = action()
        except (redis.RedisError, OSError) as error:
            self._outlast("Redis", str(error), self._ask_redis)
            return False
        except RedisError as error:
            self._outlast("Redis", error.detail, self._ask_redis)
            return False
        except OtherInstallation:
            raise
        except DatabaseError as error:
            engine = self._engine
            self._outlast("database", error.detail, lambda: ping(engine) if engine is not None else None)
            return False
        self._pause = 0.0
        return answer

    def _ask_redis(self) -> None:
        # Over a new connection: a network that swallows packets without a word leaves all old ones deaf.
        self._client.connection_pool.disconnect()
        self._client.ping()

    def _outlast(self, what: str, why: str, probe: Callable[[], object]) -> None:
        log.error("outage", of=what, reason=why)
        began = time.monotonic()
        while not self._stop.stopping:
            # Also before the first probe: a fault that the probe does not see must not spin.
            self._pause = min(MAX_PAUSE_SECONDS, self._pause * 2 or 0.05)
            self._stop.wait(partial(time.sleep, self._pause))
            try:
                # If this fails, the probe has to wait for the next turn: together they might take too long.
                self._beat()
                probe()
            except OtherInstallation:
                raise
            except (redis.RedisError, OSError, RedisError, DatabaseError):
                continue
            log.info("back after an outage", of=what, after_seconds=round(time.monotonic() - began, 2))
            return
