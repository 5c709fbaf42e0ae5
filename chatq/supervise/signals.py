"""Signals as things that have arrived: handlers only append to a queue and wake the loop."""

from __future__ import annotations

import signal
import socket
from collections import deque
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Self

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a supervisor to end; SIGHUP says that the terminal was closed."""


class Signals:
    """Takes over :data:`STOP` and SIGCHLD in its ``with`` block, after which the process is to end.

    For the main thread only.
    """

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()
        self._waker, self._wakened = socket.socketpair()
        for end in (self._waker, self._wakened):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a signal has arrived."""
        return self._wakened.fileno()

    def take(self) -> Iterable[int]:
        """Return the signals that have arrived, oldest first."""
        while self._readable():
            pass
        while self._arrived:
            yield self._arrived.popleft()

    def _readable(self) -> bool:
        try:
            return len(self._wakened.recv(4096)) == 4096
        except BlockingIOError:
            return False

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (*STOP, signal.SIGCHLD):
            # What `nohup` asked for stays.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is left to do takes a moment; one more Ctrl-C must not change the exit code.
        for number in STOP:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._waker.close()
        self._wakened.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.append(number)
