"""What the end of a process means: in words, for the exit code of the whole, and whether it comes back."""

from __future__ import annotations

import signal
from collections import Counter

from chatq.errors import ExitCode

PASSED_ON = frozenset({ExitCode.USAGE, ExitCode.REDIS, ExitCode.DATABASE})
"""Exit statuses that mean the same for the whole as for the child."""

AWAY = frozenset({ExitCode.REDIS, ExitCode.DATABASE})
"""Exit statuses by which a process says that what it needs is away."""

SOON = 1.0
"""Seconds: a process that lives shorter would die again at once."""

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 5.0


def in_words(status: int) -> str:
    """Return how a process ended; ``status`` is negative for a signal, as in :mod:`subprocess`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def exit_code(status: int) -> ExitCode:
    """Return the exit code of the whole when this death ends it."""
    return ExitCode(status) if status in PASSED_ON else ExitCode.FAILED


class Restarts:
    """Decides whether, and how soon, a process that died comes back.

    At once; but after a life of less than a second it waits, longer from time to time, 5 s at most.

    Args:
        limit: how often each process may come back; None for ever.
        final: exit statuses after which it does not.
    """

    def __init__(self, limit: int | None = 0, final: frozenset[int] = frozenset()) -> None:
        self.limit = limit
        self.count: Counter[str] = Counter()
        self._final = final
        self._short_lives: Counter[str] = Counter()

    def delay(self, name: str, status: int, lived: float) -> float | None:
        """Return the seconds until ``name``, which ``lived`` so many, comes back; None if it does not."""
        if status in self._final or (self.limit is not None and self.count[name] >= self.limit):
            return None
        self.count[name] += 1
        return self.pause(name, lived)

    def pause(self, name: str, lived: float) -> float:
        """Return how soon ``name``, which ``lived`` so many seconds, may come back, if it does."""
        if lived >= SOON:
            self._short_lives[name] = 0
            return 0.0
        self._short_lives[name] += 1
        return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (self._short_lives[name] - 1))
