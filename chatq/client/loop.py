"""The thread in which everything of one client happens, one thing after the other."""

from __future__ import annotations

import heapq
import itertools
import queue
import random
import threading
import time
from collections.abc import Callable

Call = Callable[[], object]

LONGEST_BACKOFF = 30.0


def backoff(attempt: int) -> float:
    """Return how many seconds to wait after failure number ``attempt``, the first being 0.

    "Full jitter": anything up to a limit that doubles, which spreads all who lost the same server.
    """
    return random.uniform(0, min(LONGEST_BACKOFF, 2.0 ** min(attempt, 10)))  # noqa: S311  # spreads load, guards nothing


class Timer:
    """A call that is due later."""

    def __init__(self, call: Call) -> None:
        self.call: Call | None = call

    def cancel(self) -> None:
        """Do not call."""
        self.call = None


class Loop:
    """Calls what other threads post, and what is due."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Call] = queue.Queue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._ended = False
        self._ending = threading.Lock()

    def post(self, call: Call) -> None:
        """Have something called soon, from any thread; at once if the loop has ended."""
        with self._ending:
            if not self._ended:
                self._calls.put(call)
                return
        call()

    def after(self, seconds: float, call: Call) -> Timer:
        """Have something called in ``seconds``; from the loop's own thread only."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def run(self) -> None:
        """Call what is posted and what is due until :meth:`end`."""
        while not self._ended:
            try:
                self._calls.get(timeout=self._run_due())()
            except queue.Empty:
                continue
        while not self._calls.empty():
            self._calls.get()()

    def end(self) -> None:
        """Run no longer than what is posted already."""
        with self._ending:
            self._ended = True

    def _run_due(self) -> float | None:
        """Call what is due, and return how long there is nothing more."""
        while self._timers:
            due, _, timer = self._timers[0]
            call = timer.call
            left = due - time.monotonic()
            if call is not None and left > 0:
                return left
            heapq.heappop(self._timers)
            if call is not None:
                call()
        return None
