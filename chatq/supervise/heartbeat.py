"""Signs of life: a pipe on which a process shows its supervisor that it goes on and does not hang.

The supervisor makes a :class:`Pulse` for each process that it watches, and names the other end to it in an
environment variable; the process takes that end over with :func:`take_over`, and a process that was started
by hand finds nothing there.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress

VARIABLE = "CHATQ_HEARTBEAT_FD"
"""Number of the descriptor to write to. Between a supervisor and its process alone, no setting of the user's."""

PERIOD_SECONDS = 0.5
"""A sign more often than this would tell nothing more."""


class Pulse:
    """The supervisor's end of the pipe of one process. Nothing here ever waits."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.pipe()
        for end in (self._ours, self._theirs):
            os.set_blocking(end, False)

    @property
    def to_pass(self) -> tuple[int]:
        """The descriptor that the process has to inherit."""
        return (self._theirs,)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the process has to have in its environment."""
        return {VARIABLE: str(self._theirs)}

    def passed(self) -> None:
        """Take note that the process has been started, or cannot be."""
        os.close(self._theirs)

    def heard(self) -> bool:
        """Tell whether there was a sign of life since this was asked last."""
        try:
            return bool(os.read(self._ours, 65536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop listening."""
        os.close(self._ours)


def take_over(environ: MutableMapping[str, str], *, period: float = PERIOD_SECONDS) -> Callable[[], None] | None:
    """Return the function with which this process gives a sign of life, or None if no supervisor watches it.

    To be called before the process opens anything, so that a number that means nothing any more is noticed; it
    is taken out of ``environ``, and the descriptor kept from processes that this one starts. The function gives a
    sign every ``period`` seconds at most, however often it is called.
    """
    descriptor = _descriptor(environ.pop(VARIABLE, ""))
    if descriptor is None:
        return None
    os.set_inheritable(descriptor, False)
    given_at = float("-inf")

    def give() -> None:
        nonlocal given_at
        now = time.monotonic()
        if now - given_at < period:
            return
        given_at = now
        # Full: the supervisor sleeps, and finds enough when it wakes. Broken: it was killed, and its guard ends us.
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, b".")

    return give


def _descriptor(text: str) -> int | None:
    """Return the descriptor that ``text`` names if it is the end of a pipe that can be written to."""
    try:
        descriptor = int(text)
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except (ValueError, OverflowError, OSError):
        return None
    return descriptor if is_pipe and writable else None
