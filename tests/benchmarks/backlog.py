"""How fast a queue is worked off, as its keys in Redis tell: the same way for every side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import redis

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 900.0


class Backlog:
    """The jobs that are not ended, waiting or under way: the lengths of these lists and sorted sets."""

    def __init__(self, client: redis.Redis, lists: Sequence[str], sorted_sets: Sequence[str] = ()) -> None:
        self._client = client
        self._lists = lists
        self._sorted_sets = sorted_sets

    def count(self) -> int:
        """Return how many jobs there are."""
        with self._client.pipeline(transaction=False) as pipe:
            for key in self._lists:
                pipe.llen(key)
            for key in self._sorted_sets:
                pipe.zcard(key)
            return sum(pipe.execute())

    def drain_rate(self, alive: Callable[[], bool]) -> float:
        """Return how many jobs end in a second, from the first that does to the last.

        What a worker needs to start is not counted. ``alive`` tells whether it runs.
        """
        total = self.count()
        left = self._wait_below(total, alive)
        first = total - left
        began = time.monotonic()
        self.wait_until_empty(alive)
        return (total - first) / (time.monotonic() - began)

    def wait_until_empty(self, alive: Callable[[], bool]) -> None:
        """Wait until all jobs are ended. ``alive`` tells whether the worker runs."""
        self._wait_below(1, alive)

    def _wait_below(self, limit: int, alive: Callable[[], bool]) -> int:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := self.count()) >= limit:
            if not alive():
                raise RuntimeError(f"the worker ended with {left} jobs left")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{left} jobs are left after {PATIENCE_SECONDS:.0f} s")
            time.sleep(LOOK_SECONDS)
        return left
