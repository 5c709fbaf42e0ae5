"""The client that posts: HTTP/1.1 over one keep-alive connection, on gevent."""

from __future__ import annotations

import re
import socket as standard
from types import TracebackType
from typing import NamedTuple, Self

from gevent.socket import socket as Socket  # noqa: N812  # a class by a lower-case name

from chatq.errors import ChatqError

HOST = "127.0.0.1"
PATIENCE_SECONDS = 30.0
"""How long an answer may take."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    body: bytes


def connect(port: int) -> Socket:
    """Return a connection to a port of this machine.

    Raises:
        OSError: nobody listens there.
    """
    socket = Socket(standard.AF_INET, standard.SOCK_STREAM)
    try:
        socket.settimeout(PATIENCE_SECONDS)
        socket.connect((HOST, port))
        socket.setsockopt(standard.IPPROTO_TCP, standard.TCP_NODELAY, 1)
    except OSError:
        socket.close()
        raise
    return socket


def read_head(socket: Socket) -> tuple[bytes, bytes]:
    """Return an answer's status line and headers, and what came behind them.

    Raises:
        OSError: the server closed the connection, or did not answer in time.
    """
    data = b""
    while _END not in data:
        data += _receive(socket)
    head, _, rest = data.partition(_END)
    return head, rest


def status_of(head: bytes) -> int:
    """Return the status of an answer."""
    return int(head[9:12])


class HttpClient:
    """One connection; one request at a time."""

    def __init__(self, port: int, token: str | None = None) -> None:
        """Connect; ``token``, if the server asks for any, says who sends the requests.

        Raises:
            ChatqError: nobody listens there.
        """
        self._head = f"Host: {HOST}:{port}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        try:
            self._socket = connect(port)
        except OSError as error:
            raise ChatqError(f"No connection to the API: {error}") from error

    def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request and return the answer.

        Raises:
            ChatqError: there is none.
        """
        lines = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            lines += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        try:
            self._socket.sendall(lines.encode() + b"\r\n" + body)
            return self._read_answer()
        except OSError as error:
            raise ChatqError(f"{method} {path}: no answer from the API: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_answer(self) -> Answer:
        head, body = read_head(self._socket)
        length = _LENGTH.search(head)
        if length is None:
            raise OSError("it has no Content-Length")
        while len(body) < int(length[1]):
            body += _receive(self._socket)
        return Answer(status_of(head), body)


def _receive(socket: Socket) -> bytes:
    data: bytes = socket.recv(65536)
    if not data:
        raise ConnectionError("the connection was closed")
    return data
