"""A command on a terminal of its own, as people see it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread

from tests.parts.waiting import PATIENCE_SECONDS

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What a terminal is told to do, rather than to show."""

CTRL_C = "\x03"


class Terminal:
    """Runs a command on a terminal of so many columns, and keeps everything that it writes there."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, *, columns: int = 80
    ) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._news = Condition()
        self._written = b""
        self._over = False
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env={"TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # So that Ctrl-C is a signal, as on any terminal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # there is no other way
        )
        os.close(theirs)
        self._reader = Thread(target=self._read)
        self._reader.start()

    @classmethod
    def of_chatq(cls, *args: str, environment: Mapping[str, str], directory: Path, columns: int = 80) -> Terminal:
        """Run ``chatq`` with ``args``."""
        return cls([sys.executable, "-m", "chatq", *args], environment, directory, columns=columns)

    @property
    def raw(self) -> str:
        """Everything that was written, escape sequences and all."""
        return self._written.decode(errors="replace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """The same without what only colours it or moves the cursor."""
        return ESCAPE.sub("", self.raw)

    def wait_for(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> re.Match[str]:
        """Wait until the text matches ``pattern``, and return the first match."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not (found := re.search(pattern, self.text)):
                left = deadline - time.monotonic()
                assert left > 0 and not self._over, f"no {pattern!r} in:\n{self.text}"  # noqa: PT018  # one reason
                self._news.wait(left)
            return found

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until the command has ended, and return its exit status."""
        status = self.process.wait(seconds)
        self._reader.join(seconds)
        return status

    def close(self) -> None:
        """End whatever still runs."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        with suppress(OSError):  # how Linux says that the other side of a terminal is closed
            while news := os.read(self._ours, 65536):
                with self._news:
                    self._written += news
                    self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()
