"""The client that listens: a websocket that has joined one conversation, on gevent."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from typing import Any

from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from chatq.domain.events import NewMessage, from_payload
from chatq.domain.messages import Message
from chatq.domain.wire import encode, parse
from chatq.errors import ChatqError
from chatq.ops.bench.http import HOST, connect, read_head, status_of

_NEW_MESSAGE = '{"type":"newMessage"'


class Listener:
    """One websocket."""

    def __init__(self, port: int, conversation_id: str, token: str | None = None) -> None:
        """Connect, with ``token`` if the server asks for any, and join the conversation, from its present end on.

        Raises:
            ChatqError: the server does not have it so.
        """
        self._protocol = FrameProtocol(client=True, extensions=[])
        try:
            self._socket = connect(port)
        except OSError as error:
            raise ChatqError(f"A websocket could not be opened: {error}") from error
        try:
            self._shake_hands(port)
            if token is not None:
                self._ask("authenticated", type="auth", token=token)
            self._ask("joined", type="join", conversationId=conversation_id)
        except OSError as error:
            self.close()
            raise ChatqError(f"A websocket could not be opened: {error}") from error
        except ChatqError:
            self.close()
            raise
        # Whoever waits for a message says for how long.
        self._socket.settimeout(None)

    def listen(self, hear: Callable[[Message], None]) -> None:
        """Call ``hear`` with each new message, for ever.

        Raises:
            ChatqError: the connection has ended.
        """
        try:
            for text in self._read_texts():
                if text.startswith(_NEW_MESSAGE):
                    event = from_payload(text)
                    if isinstance(event, NewMessage):
                        hear(event.message)
        except OSError as error:
            raise ChatqError(f"A websocket broke: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _shake_hands(self, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head, rest = read_head(self._socket)
        if (status := status_of(head)) != 101:
            raise ChatqError(f"A websocket could not be opened: the server answered {status}.")
        self._protocol.receive_bytes(rest)

    def _ask(self, answer: str, **frame: str) -> None:
        self._socket.sendall(self._protocol.send_data(encode(frame).decode()))
        for text in self._read_texts():
            said: Any = parse(text)
            if said["type"] == answer:
                return
            if said["type"] == "error":
                raise ChatqError(f"A websocket could not {frame['type']}: {said['detail']}")

    def _read_texts(self) -> Iterator[str]:
        # May be given up at any time, and be called again: what has arrived stays in the protocol's buffer.
        while True:
            for frame in self._read_frames():
                if frame.opcode is Opcode.PING:
                    self._socket.sendall(self._protocol.pong(bytes(frame.payload)))
                elif frame.opcode is Opcode.CLOSE:
                    code, reason = frame.payload
                    raise ChatqError(f"A websocket was closed by the server: {reason or int(code)}")
                elif isinstance(frame.payload, str):
                    # chatq never fragments.
                    yield frame.payload
            data = self._socket.recv(65536)
            if not data:
                raise ChatqError("A websocket was closed by the server.")
            self._protocol.receive_bytes(data)

    def _read_frames(self) -> Iterator[Any]:
        try:
            yield from self._protocol.received_frames()
        except ParseFailed as error:
            raise ChatqError(f"A websocket received what is no frame: {error}") from error
