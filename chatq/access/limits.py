"""How much a user may do over sockets, in this process and in all others together.

Whether something may be done is decided here, at once; what was done is told to Redis some times a second, which
answers what was done everywhere. So nobody waits for Redis, and a user with sockets in several processes may do, for a
moment, a little more. While Redis is away each process counts for itself. (What may be *sent* is decided where it is
queued: :mod:`chatq.queue.edge`.)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

import gevent
import redis
import structlog

from chatq.domain.rate import MICROSECONDS, Bucket, Rate, Usage
from chatq.errors import RateLimited, RedisError
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.queue.scripts import Argument, run

TELL_SECONDS = 0.2
"""How often Redis is told what was done, while something is."""
SWEEP_SECONDS = 5.0
"""How often those are forgotten who have not done anything for a while."""
AT_ONCE = 500
"""How many allowances one script works on."""
MAX_OPEN = 100
"""Sockets that a user may have open at a time in one process."""

Kind = Literal["frames", "joins", "connections"]

log = structlog.get_logger("chatq.access")


def rates(messages: Rate) -> dict[Kind, Rate]:
    """Return what follows from how many messages a user may send.

    However few these are, a client may say where it reads, and follow all its conversations again after a cut.
    """
    return {
        "frames": messages.times(10, at_least=Rate(2000, 100)),
        "joins": messages.times(1, at_least=Rate(1000, 100)),
        "connections": messages.times(1, at_least=Rate(60, 60)),
    }


class _Key(NamedTuple):
    kind: Kind
    user_id: str


class Limits:
    """What each user with a socket in this process has done of late. A service does not come here."""

    def __init__(self, messages: Rate, client: redis.Redis, now: Callable[[], float] = time.monotonic) -> None:
        """Take how many messages a user may send, a client for short questions, and a clock that counts seconds."""
        self._rates = rates(messages)
        self._client = client
        self._now = now
        self._buckets: dict[_Key, Bucket] = {}
        self._untold: Counter[_Key] = Counter()
        """What Redis does not know of yet, in microseconds of allowances."""
        self._open: Counter[str] = Counter()
        self._swept_at = now()
        self._teller: gevent.Greenlet | None = None
        """There only while there is somebody who has done something of late."""

    def take_frames(self, user_id: str, count: int) -> bool:
        """Count frames; False if there are too many."""
        return self._take(_Key("frames", user_id), count) is None

    def check_join(self, user_id: str) -> None:
        """Count a join.

        Raises:
            RateLimited: there are too many.
        """
        refused = self._take(_Key("joins", user_id), 1)
        if refused is not None:
            raise RateLimited("You join conversations too fast.", refused.wait_seconds)

    def enter(self, user_id: str) -> bool:
        """Count a socket that is the user's until :meth:`exit`; False if there are, or were of late, too many."""
        self._open[user_id] += 1
        return self._take(_Key("connections", user_id), 1) is None and self._open[user_id] <= MAX_OPEN

    def exit(self, user_id: str) -> None:
        """Count a socket that had entered no more."""
        self._open[user_id] -= 1
        if not self._open[user_id]:
            del self._open[user_id]

    def _take(self, key: _Key, count: int) -> Usage | None:
        """Use up some of an allowance; if there is not as much, return what is used up already."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rates[key.kind])
        now = self._microseconds()
        if not bucket.take(now, count):
            return Usage(bucket.rate, bucket.used(now))
        self._untold[key] += count * bucket.rate.share
        if self._teller is None:
            self._teller = gevent.spawn(self._tell)
        return None

    def _tell(self) -> None:
        try:
            while self._buckets:
                gevent.sleep(TELL_SECONDS)
                self.synchronize()
                self.sweep()
        finally:
            self._teller = None

    def synchronize(self) -> None:
        """Tell Redis what was done, and learn what was done elsewhere."""
        untold, self._untold = self._untold, Counter()
        told = list(untold.items())
        try:
            for first in range(0, len(told), AT_ONCE):
                self._synchronize(told[first : first + AT_ONCE])
        except RedisError as error:
            # What could not be told is forgiven elsewhere.
            log.debug("limits count for this process alone", reason=error.detail)

    def _synchronize(self, told: list[tuple[_Key, int]]) -> None:
        arguments: list[Argument] = []
        for key, used in told:
            arguments += (used, self._rates[key.kind].whole)
        with translated():
            answers = run(self._client, "spend", [keys.allowance(*key) for key, _ in told], arguments)
        now = self._microseconds()
        for (key, _), used in zip(told, answers, strict=True):
            self._buckets[key].set(now, used + self._untold[key])

    def sweep(self) -> None:
        """Forget the allowances that are whole again, now and then."""
        if self._now() - self._swept_at < SWEEP_SECONDS:
            return
        self._swept_at, now = self._now(), self._microseconds()
        whole = [key for key, bucket in self._buckets.items() if not bucket.used(now)]
        for key in whole:
            del self._buckets[key]

    def _microseconds(self) -> int:
        return int(self._now() * MICROSECONDS)
