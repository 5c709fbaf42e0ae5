"""Which processes hang: alive for the system, but silent for longer than anything that they do can take."""

from __future__ import annotations

from chatq.settings import Settings

ON_SQLITE_SECONDS = 10.0
"""After so long without a sign of life a message worker counts as hung.

It gives one at each turn of its loop, a second apart when idle, and before each statement. The longest that can
lie between two is a wait for a lock, 2.5 s, or for an answer of Redis, 6 s. Longer than needed it must not be:
one that hangs in a transaction holds up all the others for this time."""

ON_SERVER_SECONDS = 30.0
"""The same on Postgres, which ends a hung transaction by itself, so that other workers go on without our help.

The statements of a large batch travel together there, and a slow server may take long for all of them."""

LOOK_SECONDS = 1.0
"""How often the silence of those who are watched is looked at."""


class Watchdog:
    """Measures the silence of watched processes, each from its first sign of life on: a start is no hanging.

    Silence counts only while this process is awake itself and could have heard something. If it slept (stopped by
    a signal, in a frozen container, on a suspended machine), then so, perhaps, did the others, and they get the
    time to say that they live.
    """

    def __init__(self) -> None:
        self._timeouts: dict[str, float] = {}
        self._silences: dict[str, float] = {}
        self._heard: set[str] = set()
        self._looked_at = 0.0

    def watch(self, name: str, timeout: float, now: float) -> None:
        """Watch a process that has just been started, and will not be silent for more than ``timeout`` seconds."""
        if not self._timeouts:
            self._looked_at = now
        self._timeouts[name] = timeout

    def heard(self, name: str) -> None:
        """Take note of a sign of life that was given since the last look."""
        if name in self._timeouts:
            self._heard.add(name)

    def forget(self, name: str) -> None:
        """Watch this process no longer."""
        self._timeouts.pop(name, None)
        self._silences.pop(name, None)
        self._heard.discard(name)

    def next_look(self) -> float | None:
        """Return the time by which signs of life have to be looked for, None if nobody is watched."""
        return self._looked_at + LOOK_SECONDS if self._timeouts else None

    def hung(self, now: float, *, counts: bool) -> list[str]:
        """Return the processes that have been silent for too long.

        Args:
            now: seconds, monotonic.
            counts: whether the time since the last look counts as silence.
        """
        passed = min(now - self._looked_at, 2 * LOOK_SECONDS) if counts else 0.0
        self._looked_at = now
        for name in self._silences:
            self._silences[name] += passed
        self._silences.update(dict.fromkeys(self._heard, 0.0))
        self._heard.clear()
        return [name for name, silence in self._silences.items() if silence > self._timeouts[name]]


def hang_timeout(settings: Settings) -> float:
    """Return after how many seconds without a sign of life a message worker counts as hung."""
    return ON_SQLITE_SECONDS if settings.database_url.startswith("sqlite:") else ON_SERVER_SECONDS
