"""A websocket client as a user's program would have one, and a socket for what such a client would not do."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.parts.told import check_frame
from tests.parts.waiting import PATIENCE_SECONDS

TEXT = 1
"""Opcode of a frame with JSON in it."""


class Client:
    """Says and hears JSON frames while its ``with`` lasts."""

    connection: ClientConnection

    def __init__(self, url: str, **options: Any) -> None:
        self.attentive = False
        """Whether it hears who types and who is there, which come at any time."""
        # It asks for no sign of life: while a test leaves what came unread, it would not see the answer.
        options = {"ping_interval": None, "open_timeout": PATIENCE_SECONDS, **options}
        self._opening = connect(url, compression=None, max_size=None, **options)

    def __enter__(self) -> Self:
        self.connection = self._opening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opening.__exit__(kind, value, trace)

    def say(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        self.connection.send(json.dumps({"type": kind, **fields}))

    def hear(self, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Return the next frame."""
        while True:
            message = self.connection.recv(timeout=timeout)
            assert isinstance(message, str)
            check_frame(message)
            frame: dict[str, Any] = json.loads(message)
            if self.attentive or frame["type"] not in {"presence", "typing"}:
                return frame

    def expect(self, kind: str, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Return the next frame, which is of this type."""
        frame = self.hear(timeout)
        assert frame["type"] == kind, frame
        return frame

    def auth(self, user: str) -> None:
        """Say who one is, where that is believed."""
        self.say("auth", userId=user)
        self.expect("authenticated")

    def join(self, conversation: str, since: int | None = None) -> dict[str, Any]:
        """Join a conversation and return what was answered."""
        self.say("join", conversationId=conversation, **({} if since is None else {"since": since}))
        return self.expect("joined")

    def seqs(self, count: int, timeout: float = PATIENCE_SECONDS) -> list[int]:
        """Return the numbers of the next ``count`` events."""
        return [self.hear(timeout)["seq"] for _ in range(count)]

    def quiet(self) -> None:
        """Check that nothing is to be heard: the answer to a question comes next."""
        self.say("ping")
        self.expect("pong")

    def close_code(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Wait for the end of the connection, whatever comes before it, and return its code."""
        try:
            while True:
                check_frame(self.connection.recv(timeout=timeout))
        except ConnectionClosed:
            code = self.connection.protocol.close_code
            assert code is not None
            return code


class RawSocket:
    """A TCP connection on which the websocket handshake is done; the rest is bytes."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.socket.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._read_head()

    @classmethod
    def on(cls, connection: socket.socket) -> Self:
        """Return one on a connection on which the handshake was asked for."""
        raw = cls.__new__(cls)
        raw.socket = connection
        raw._read_head()
        return raw

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> None:
        """Send one frame."""
        self.socket.sendall(frame(opcode, payload, fin=fin, masked=masked))

    def say(self, kind: str, **fields: Any) -> None:
        """Send a JSON frame."""
        self.send(1, json.dumps({"type": kind, **fields}).encode())

    def read(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame; None at the end."""
        head = self._exactly(2)
        if head is None:
            return None
        assert not head[1] & 0x80, "a server's frames are not masked"
        size = head[1]
        if size > 125:
            size = int.from_bytes(self._exactly(2 if size == 126 else 8) or b"")
        payload = self._exactly(size)
        if payload is None:
            return None
        opcode = head[0] & 0x0F
        if opcode == TEXT:
            check_frame(payload)
        return opcode, payload

    def _read_head(self) -> None:
        self._bytes = b""
        while b"\r\n\r\n" not in self._bytes:
            data = self.socket.recv(4096)
            assert data, "closed before the handshake was answered"
            self._bytes += data
        answer, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer

    def _exactly(self, size: int) -> bytes | None:
        while len(self._bytes) < size:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._bytes += data
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        return found


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """Return a client's frame."""
    first = opcode | (0x80 if fin else 0)
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes((first, mask | len(payload)))
    elif len(payload) < 65536:
        head = bytes((first, mask | 126)) + len(payload).to_bytes(2)
    else:
        head = bytes((first, mask | 127)) + len(payload).to_bytes(8)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def frames(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield first byte and payload of each whole frame of a server, and remove it from ``data``."""
    at = 0
    while len(data) >= at + 2:
        size, start = data[at + 1], at + 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start])
        if len(data) < start + size:
            break
        yield data[at], bytes(data[start : start + size])
        at = start + size
    del data[:at]
