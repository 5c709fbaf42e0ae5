"""Stopping: a signal ends a wait at once and never interrupts work."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class _Woken(BaseException):
    """Ends a wait; never seen outside of this module."""


class StopSignal:
    """Knows whether SIGTERM or SIGINT came, and lets waits be ended by it. For the main thread."""

    def __init__(self) -> None:
        self.stopping = False
        self._waiting = False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def wait(self, waiting: Callable[[], object]) -> bool:
        """Call ``waiting``, which blocks, and return True; False if a signal came before it returned.

        After False, whatever ``waiting`` was reading from may be half read.
        """
        try:
            self._waiting = True
            if self.stopping:
                return False
            waiting()
        except _Woken:
            return False
        finally:
            self._waiting = False
        return True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        if self._waiting:
            self._waiting = False
            raise _Woken
