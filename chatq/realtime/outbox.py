"""What waits to be written to one socket: bounded in bytes, in order, written by one greenlet."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.socket import socket as Socket  # noqa: N812  # a class by a lower-case name

MAX_WAITING_BYTES = 1 << 20
"""A client that leaves more than this unread is too slow."""


class Outbox:
    """Takes frames without ever waiting; what the kernel does not take at once, a greenlet writes.

    The greenlet exists only as long as something waits.
    """

    __slots__ = (
        "_below", "_ended", "_mark", "_on_overflow", "_size", "_socket", "_waiting", "_writer", "_written",
    )  # fmt: skip

    def __init__(self, socket: Socket, on_overflow: Callable[[], None]) -> None:
        """Take a connected socket of gevent's; ``on_overflow`` is called when too much waits."""
        self._socket = socket
        self._on_overflow = on_overflow
        self._waiting: deque[bytes | memoryview] = deque()
        self._size = 0
        self._written = 0
        self._writer: gevent.Greenlet | None = None
        self._below = Event()
        self._mark = 0
        self._ended = False

    def send(self, frame: bytes) -> None:
        """Write a frame, or keep it until it can be written; without effect after :meth:`end`."""
        if self._ended:
            return
        self._put(frame)
        if self._size > MAX_WAITING_BYTES:
            self._on_overflow()

    def end(self, frame: bytes, *, at_once: bool) -> None:
        """Write ``frame`` as the last one; with ``at_once``, leave out what waits and is not begun."""
        if self._ended:
            return
        self._ended = True
        if at_once and self._waiting:
            # The first is in the writer's hands: cut off, it would make the last one unreadable.
            first = self._waiting[0]
            self._waiting.clear()
            self._waiting.append(first)
            self._size = len(first)
        self._put(frame)
        self._below.set()

    def wait_until_below(self, size: int, timeout: float) -> bool:
        """Wait until at most ``size`` bytes wait; return False at the end, or if none is taken for ``timeout`` s."""
        while self._size > size and not self._ended:
            written = self._written
            self._mark = size
            self._below.clear()
            self._below.wait(timeout)
            if self._written == written:
                return False
        return not self._ended

    def join(self, timeout: float) -> None:
        """Wait until all is written, or for ``timeout`` seconds."""
        if self._writer is not None:
            self._writer.join(timeout)

    def _put(self, frame: bytes) -> None:
        rest: bytes | memoryview = frame
        if self._writer is None:
            try:
                # gevent keeps its sockets in non-blocking mode: this takes what the kernel has room for.
                written = os.write(self._socket.fileno(), frame)
            except BlockingIOError:
                written = 0
            except OSError:
                # Whoever reads the socket learns that the connection is gone.
                self._drop()
                return
            if written == len(frame):
                return
            self._writer = gevent.spawn(self._write)
            rest = memoryview(frame)[written:]
        self._waiting.append(rest)
        self._size += len(rest)

    def _write(self) -> None:
        try:
            while self._waiting:
                frame = self._waiting[0]
                written = self._socket.send(frame)
                self._written += written
                self._size -= written
                if written == len(frame):
                    self._waiting.popleft()
                else:
                    self._waiting[0] = memoryview(frame)[written:]
                if self._size <= self._mark:
                    self._below.set()
        except OSError:
            self._drop()
        finally:
            self._writer = None

    def _drop(self) -> None:
        self._ended = True
        self._waiting.clear()
        self._size = 0
        self._below.set()
