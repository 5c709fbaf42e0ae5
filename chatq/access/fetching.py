"""Asking another server for a document, with an end to how long that takes and how much it is."""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPResponse
from io import BufferedReader, RawIOBase
from socket import SocketIO, socket
from typing import TYPE_CHECKING, Any, cast
from urllib.error import HTTPError
from urllib.request import (
    AbstractHTTPHandler,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT_SECONDS = 5.0
"""How long the other server may say nothing, and how long its whole answer may take."""
MAX_BYTES = 1 << 20


class _NoRedirect(HTTPRedirectHandler):
    """Leaves redirections alone: they could lead anywhere, and away from https."""

    def redirect_request(self, *_args: object) -> None:
        """Follow none; the status becomes an error."""


class _Answer(HTTPResponse):
    """An answer that is there in time as a whole, also if the server sends it byte by byte."""

    fp: BufferedReader

    def __init__(self, sock: socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = BufferedReader(_InTime(cast("SocketIO", self.fp.detach()), sock))


class _InTime(RawIOBase):
    """What a socket brings within :data:`TIMEOUT_SECONDS` altogether."""

    def __init__(self, raw: SocketIO, sock: socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._deadline = time.monotonic() + TIMEOUT_SECONDS

    def readable(self) -> bool:
        """Tell that it is read from."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what is there; raise TimeoutError when the time is over."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the answer was not there after {TIMEOUT_SECONDS:.0f} seconds")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket's end too."""
        self._raw.close()
        super().close()


class _Opening(AbstractHTTPHandler):
    def do_open(self, http_class: Any, req: Request, **options: Any) -> HTTPResponse:
        """Open a connection as usual, but for the kind of its answer."""

        def connect(*args: Any, **more: Any) -> HTTPConnection:
            connection: HTTPConnection = http_class(*args, **more)
            connection.response_class = _Answer
            return connection

        return super().do_open(connect, req, **options)


class _Http(_Opening, HTTPHandler):
    """Opens http://."""


class _Https(_Opening, HTTPSHandler):
    """Opens https://."""


def fetch(url: str) -> bytes:
    """Return what the server has at ``url``, http:// or https://.

    Raises:
        OSError: it cannot be reached, does not answer in time, or answers with an error or a redirection.
        HTTPException: its answer is not HTTP, or breaks off.
        ValueError: the answer has more than :data:`MAX_BYTES`.
    """
    local = [ProxyHandler({})] if url.startswith("http://") else []
    opener = build_opener(_NoRedirect, _Http, _Https, *local)
    request = Request(url, headers={"Accept": "application/json", "User-Agent": "chatq"})  # noqa: S310  # checked
    body = bytearray()
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            while part := answer.read1(65536):
                body += part
                if len(body) > MAX_BYTES:
                    raise ValueError(f"the answer has more than {MAX_BYTES} bytes")
    except HTTPError as error:
        error.close()
        raise
    return bytes(body)
