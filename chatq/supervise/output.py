"""The lines of several processes in one stream, each behind the name of its process, never mixed or split."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Sequence

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_RESET = b"\x1b[0m"
_LONGEST_LINE = 64 * 1024
_FULL = 1024 * 1024


class Lines:
    """Cuts what one process writes into lines."""

    def __init__(self) -> None:
        self._unfinished = b""

    def cut(self, data: bytes) -> Iterable[bytes]:
        """Return the lines that ``data`` completes; one that goes on for ever is cut."""
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if len(self._unfinished) > _LONGEST_LINE:
            lines.append(self._unfinished)
            self._unfinished = b""
        return lines

    def rest(self) -> Iterable[bytes]:
        """Return the unfinished line, if there is one."""
        rest, self._unfinished = self._unfinished, b""
        return [rest] if rest else []


class Output:
    """Writes named lines to a file descriptor without ever waiting for its reader.

    Args:
        descriptor: a terminal, pipe or file.
        names: of all the processes, for their colours and the width of the prefix.
        colour: whether names are coloured.
    """

    def __init__(self, descriptor: int, names: Sequence[str], *, colour: bool) -> None:
        self.descriptor = descriptor
        self.reader_gone = False
        self._buffer = bytearray()
        self._colour = colour
        width = max(map(len, names)) + len("[] ")
        self._prefixes = {name: self._prefix(name, place, width) for place, name in enumerate(names)}

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._buffer)

    @property
    def full(self) -> bool:
        """Whether the reader is so slow that no more should be taken from the processes."""
        return len(self._buffer) > _FULL

    def line(self, name: str, text: bytes) -> None:
        """Take a line that the process ``name`` has written."""
        if self.reader_gone:
            return
        self._buffer += self._prefixes[name] + text.rstrip(b"\r")
        if self._colour and b"\x1b" in text:
            self._buffer += _RESET  # so that a process's colour ends with its line
        self._buffer += b"\n"

    def write(self) -> None:
        """Write what the reader is ready to take."""
        # No more than PIPE_BUF bytes at a time: so many never block once the descriptor is said to be ready.
        while self._buffer and select.select([], [self.descriptor], [], 0)[1]:
            try:
                written = os.write(self.descriptor, self._buffer[: select.PIPE_BUF])
            except BlockingIOError:
                return
            except OSError:
                self.reader_gone = True
                self._buffer.clear()
                return
            del self._buffer[:written]

    def finish(self, patience: float = 2.0) -> None:
        """Write all that is left, unless the reader takes longer than ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while self._buffer and (left := deadline - time.monotonic()) > 0:
            select.select([], [self.descriptor], [], left)
            self.write()

    def _prefix(self, name: str, place: int, width: int) -> bytes:
        padding = " " * (width - len(name) - len("[]"))
        if not self._colour:
            return f"[{name}]{padding}".encode()
        colour = 1 if place == 0 else _COLOURS[(place - 1) % len(_COLOURS)]
        return f"\x1b[{colour}m[{name}]\x1b[0m{padding}".encode()
