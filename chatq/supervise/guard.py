"""The supervisor's side of the guard: the process that ends the others if the supervisor is killed."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chatq.supervise import guard_process


class Guard:
    """Starts the guard and tells it which process groups live.

    Args:
        hold: file descriptors that the guard keeps open, such as a lock that must outlive the supervisor
            until everything that it protects has ended.
    """

    def __init__(self, hold: Sequence[int] = ()) -> None:
        self._hold = tuple(hold)
        self._groups: dict[int, None] = {}
        self._begin()

    @property
    def pid(self) -> int:
        """The guard's process id."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """Have this group ended if the supervisor is killed. For the child itself, between fork and exec."""
        self._tell(f"+{group}\n")

    def started(self, group: int) -> None:
        """Take note that a child has called :meth:`watch`."""
        self._groups[group] = None

    def forget(self, group: int) -> None:
        """Take note that a group has ended."""
        self._groups.pop(group, None)
        self._tell(f"-{group}\n")

    def died(self, status: int) -> None:
        """Start another guard in the place of one that was killed."""
        self._process.returncode = status
        self._ours.close()
        self._begin()

    def close(self) -> None:
        """End the guard, and with it whatever it still watches."""
        self._ours.close()
        self._process.wait()

    def _begin(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            # It finds them as it starts: the supervisor may be killed as soon as there is a guard.
            for group in self._groups:
                self.watch(group)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(guard_process.__file__))],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=self._hold,
                start_new_session=True,
            )

    def _tell(self, line: str) -> None:
        # A guard that was killed is replaced as soon as its end is noticed; its successor is told everything.
        with suppress(BrokenPipeError):
            self._ours.send(line.encode(), _NO_SIGPIPE)


_NO_SIGPIPE = getattr(socket, "MSG_NOSIGNAL", 0)
"""Between fork and exec SIGPIPE is deadly again; macOS lacks the flag."""
