"""A websocket connection, from the handshake on: whole messages in, frames out, and an orderly end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import gevent
from gevent.event import Event
from gevent.socket import SHUT_RDWR
from gevent.socket import socket as Socket  # noqa: N812  # a class by a lower-case name
from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed

from chatq.realtime.frames import CloseCode, close_frame, ping_frame, pong_frame
from chatq.realtime.outbox import Outbox

HEARTBEAT_SECONDS = 25
"""How often a client should say something; a silent one is asked whether it lives, and dropped if it does not."""
LINGER_SECONDS = 5.0
"""How long the end of a connection may take."""
_READ_BYTES = 16384


class Closed(Exception):
    """The connection has ended."""


class Connection:
    """One client's connection.

    One greenlet receives; any may send and close. Inbound is bounded by a message's size: nothing is read
    ahead of what :meth:`receive` is asked for but what one read of the socket brings.
    """

    def __init__(self, socket: Socket, max_message_bytes: int) -> None:
        self._socket = socket
        self._max_message_bytes = max_message_bytes
        self._outbox = Outbox(socket, self._too_slow)
        self._protocol = FrameProtocol(client=False, extensions=[])
        self._messages = self._read_messages()
        self._closing = False
        self._ended = Event()
        socket.settimeout(HEARTBEAT_SECONDS)

    def receive(self) -> str | bytes:
        """Return the next message; ``bytes`` for a binary one.

        Raises:
            Closed: there will be none.
        """
        try:
            return next(self._messages)
        except StopIteration:
            raise Closed from None

    def send(self, frame: bytes) -> None:
        """Send a frame; never waits, and has no effect once the connection is closing."""
        self._outbox.send(frame)

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

        With ``at_once``, what still waits to be sent is left out.
        """
        if self._closing:
            return
        self._closing = True
        self._outbox.end(close_frame(code, reason), at_once=at_once)
        gevent.spawn(self._end_soon)

    def finish(self) -> None:
        """Let the last frame be written; the caller closes the socket afterwards."""
        self._outbox.join(LINGER_SECONDS)
        self._ended.set()

    def _too_slow(self) -> None:
        self.close(CloseCode.TOO_SLOW, "too much waits to be sent; reconnect and resume", at_once=True)

    def _end_soon(self) -> None:
        if not self._ended.wait(LINGER_SECONDS):
            # Wakes whoever reads.
            with suppress(OSError):
                self._socket.shutdown(SHUT_RDWR)

    def _read_messages(self) -> Iterator[str | bytes]:
        parts: list[str | bytes] = []
        size = 0
        for frame in self._read_frames():
            if frame.opcode.iscontrol():
                if not self._control(frame):
                    return
                continue
            if self._closing:
                continue
            payload = cast("str | bytes", frame.payload)
            size += len(payload)
            if size > self._max_message_bytes:
                reason = f"a message may have {self._max_message_bytes} bytes"
                self.close(CloseCode.TOO_LARGE, reason, at_once=True)
                parts, size = [], 0
                continue
            parts.append(payload)
            if frame.message_finished:
                yield _joined(parts)
                parts, size = [], 0

    def _control(self, frame: Frame) -> bool:
        """Answer a control frame; return False at the end."""
        if frame.opcode is Opcode.PING:
            self.send(pong_frame(bytes(frame.payload) if isinstance(frame.payload, bytes | bytearray) else b""))
        elif frame.opcode is Opcode.CLOSE:
            code = frame.payload[0] if isinstance(frame.payload, tuple) else CloseReason.NORMAL_CLOSURE
            self.close(CloseCode.NORMAL if code == CloseReason.NO_STATUS_RCVD else int(code), "", at_once=True)
            return False
        return True

    def _read_frames(self) -> Iterator[Frame]:
        try:
            for data in self._read_socket():
                self._protocol.receive_bytes(data)
                yield from self._protocol.received_frames()
        except ParseFailed as error:
            self.close(int(error.code), str(error), at_once=True)
            for _ in self._read_socket():
                # What is left unread as a socket is closed can cost the other side our last frame.
                pass

    def _read_socket(self) -> Iterator[bytes]:
        asked = False
        while True:
            try:
                data = self._socket.recv(_READ_BYTES)
            except TimeoutError:
                if asked:
                    return
                asked = True
                self.send(ping_frame())
                continue
            except OSError:
                return
            if not data:
                return
            asked = False
            yield data
            # Reading waits only where there is nothing: a client that sends without end must not have all the time.
            gevent.sleep(0)


def _joined(parts: list[str | bytes]) -> str | bytes:
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, str):
        return "".join(part for part in parts if isinstance(part, str))
    return b"".join(part for part in parts if isinstance(part, bytes))
