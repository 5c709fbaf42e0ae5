"""A websocket connection, from the handshake on: whole messages in, frames out, and an orderly end."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import gevent
from gevent.event import Event
from gevent.socket import SHUT_RDWR, wait_read
from gevent.socket import socket as Socket  # noqa: N812  # a class by a lower-case name

from chatq.realtime.framing import CloseCode, close_frame, ping_frame, pong_frame
from chatq.realtime.outbox import Outbox
from chatq.realtime.reader import End, Ping, Pong, Reader

HEARTBEAT_SECONDS = 25
"""How often a client should say something; a silent one is asked whether it lives, and dropped if it does not."""
LINGER_SECONDS = 5.0
"""How long the end of a connection may take."""
ANSWER_SECONDS = 2.5
"""How long the end of a connection waits for answers that its client is still owed."""
_READ_BYTES = 32768
_RECEIVED = b"received?"


class Closed(Exception):
    """The connection has ended."""


class Connection:
    """One client's connection.

    One greenlet receives; any may send and close. Inbound is bounded by a message's size: nothing is read
    ahead of what :meth:`receive` is asked for but what one read of the socket brings.
    """

    __slots__ = ("_closing", "_end", "_ended", "_outbox", "_owed", "_reader", "_settled", "_socket", "_when_received")

    def __init__(self, socket: Socket, max_message_bytes: int) -> None:
        self._socket = socket
        self._outbox = Outbox(socket, self._too_slow)
        self._reader = Reader(max_message_bytes)
        self._end: End | None = None
        """Why nothing more can be read, once what came before it was received."""
        self._closing = False
        self._ended = Event()
        self._owed = 0
        """Weight of what is in hand and not answered yet; see :meth:`owe`."""
        self._when_received: Callable[[], None] | None = None
        self._settled: Event | None = None
        """Set whenever some of it is answered; there once somebody has waited for it."""

    def receive(self) -> tuple[list[str | bytes], int]:
        """Wait for frames, and return the messages that came together, if any; ``bytes`` for a binary one.

        With them comes the number of all these frames: pings, and the fragments of a message, are none.

        Raises:
            Closed: there will be no more.
        """
        while self._end is None:
            data = self._read()
            if not data:
                raise Closed
            messages = self._take(data)
            if self._reader.frames:
                return messages, self._reader.frames
        if self._end.violation:
            self.close(self._end.code, self._end.reason, at_once=True)
            while self._read():
                # What is left unread as a socket is closed can cost the other side our last frame.
                pass
        else:
            self.close(self._end.code, "", at_once=True)
        raise Closed

    def send(self, frame: bytes) -> None:
        """Send a frame; never waits, and has no effect once the connection is closing."""
        self._outbox.send(frame)

    def when_received(self, call: Callable[[], None] | None) -> None:
        """Have something called once the client has got all that was sent, in place of what was to be called before.

        That the kernel took it says little: the client may be gone. It is called by whoever receives.
        """
        self._when_received = call
        if call is not None:
            self.send(ping_frame(_RECEIVED))

    def owe(self, weight: int) -> None:
        """Have work in hand that :meth:`settle` will answer; closing waits for that a while."""
        self._owed += weight

    def settle(self, weight: int, frames: bytes) -> None:
        """Answer work that was in hand."""
        self._owed -= weight
        if frames:
            self._outbox.send(frames)
        if self._settled is not None:
            self._settled.set()

    def wait_until_settled(self, weight: int = 0, timeout: float | None = None) -> None:
        """Wait until no more than ``weight`` is in hand, or for ``timeout`` seconds."""
        with gevent.Timeout(timeout, exception=False):
            while self._owed > weight:
                if self._settled is None:
                    self._settled = Event()
                self._settled.clear()
                self._settled.wait()

    def wait_until_below(self, size: int) -> None:
        """Wait until at most ``size`` bytes wait to be sent.

        Raises:
            Closed: the connection has ended, or its client took nothing for a long while.
        """
        if not self._outbox.wait_until_below(size, HEARTBEAT_SECONDS):
            self._too_slow()
            raise Closed

    def drain(self, size: int, timeout: float) -> None:
        """Wait until at most ``size`` bytes wait to be sent, or for ``timeout`` seconds."""
        self._outbox.wait_until_below(size, timeout)

    def close(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """Say that the connection ends, and end it once the client has answered, or after a while.

        With ``at_once``, what still waits to be sent, or to be answered, is left out.
        """
        if self._closing:
            return
        self._closing = True
        frame = close_frame(code, reason)
        if at_once or not self._owed:
            self._outbox.end(frame, at_once=at_once)
        gevent.spawn(self._end_soon, frame)

    def finish(self) -> None:
        """Let the last frame be written; the caller closes the socket afterwards."""
        self._outbox.join(LINGER_SECONDS)
        self._ended.set()

    def _too_slow(self) -> None:
        self.close(CloseCode.TOO_SLOW, "too much waits to be sent; reconnect and resume", at_once=True)

    def _end_soon(self, frame: bytes) -> None:
        self.wait_until_settled(timeout=ANSWER_SECONDS)
        self._outbox.end(frame, at_once=False)
        if not self._ended.wait(LINGER_SECONDS):
            # Wakes whoever reads.
            with suppress(OSError):
                self._socket.shutdown(SHUT_RDWR)

    def _take(self, data: bytes) -> list[str | bytes]:
        """Return the messages that are whole by now, after answering what is about the connection itself."""
        messages: list[str | bytes] = []
        pongs: list[bytes] = []
        for item in self._reader.receive(data):
            if isinstance(item, str | bytes):
                messages.append(item)
            elif isinstance(item, Ping):
                pongs.append(pong_frame(item.payload))
            elif isinstance(item, Pong):
                self._take_pong(item)
            else:
                self._end = item
        if pongs:
            self.send(b"".join(pongs))
        return [] if self._closing else messages

    def _take_pong(self, pong: Pong) -> None:
        if pong.payload == _RECEIVED and self._when_received is not None:
            call, self._when_received = self._when_received, None
            call()

    def _read(self) -> bytes:
        """Wait for what the socket brings; b"" at its end.

        Always lets others go first: a client that sends without end must not have all the time.
        """
        asked = False
        while True:
            try:
                wait_read(self._socket.fileno(), HEARTBEAT_SECONDS)
                # gevent keeps its sockets in non-blocking mode.
                return os.read(self._socket.fileno(), _READ_BYTES)
            except BlockingIOError:
                continue
            except TimeoutError:
                if asked:
                    return b""
                asked = True
                self.send(ping_frame())
            except OSError:
                return b""
