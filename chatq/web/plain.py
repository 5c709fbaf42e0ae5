"""The hottest requests in their plainest form, read without gunicorn's parser.

A parser in Python is a fifth of what a POST costs, and a framework's route half of a handshake; what both keep of a
request stays in memory as long as a websocket lasts. Only a request that arrived whole, in the spelling that every
client library uses, is taken from the socket here; whatever is unusual in any way is left there, unread, and the
connection is gunicorn's from then on. What the request then meets is the same either way.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from socket import socket

from gunicorn.util import http_date

from chatq.web.answers import Answer
from chatq.web.requests import Environ

PEEK_BYTES = 65536
"""How much of a request is looked at: what is longer is not plain."""
_HEADERS = rb" HTTP/1\.1\r\n((?:[A-Za-z][A-Za-z0-9-]*: [\x21-\x7e][\x20-\x7e]*\r\n)+)\r\n"
_POST = re.compile(rb"POST /api/messages" + _HEADERS)
_HANDSHAKE = re.compile(rb"GET /ws" + _HEADERS)
_LEFT_TO_GUNICORN = re.compile(
    # What has a meaning beyond one request's own, or depends on gunicorn's settings.
    rb"(?:transfer-encoding|expect|trailer|te|forwarded|x-forwarded-[a-z0-9-]*|http2-settings|proxy-[a-z-]*):",
    re.IGNORECASE,
)


def serve_plain(
    client: socket, data: bytes, application: Callable[[Environ], Answer], alive: Callable[[], bool]
) -> bool:
    """Answer the connection's next request, of which ``data`` is there, if it is a plain one; tell whether it was.

    Raises:
        OSError: the connection broke.
    """
    found = read_plain(data)
    if found is None:
        return False
    environ, size = found
    while size:
        size -= len(client.recv(size))
    answer = application(environ)
    client.sendall(whole_response(answer, "keep-alive" if alive() else "close"))
    return True


def read_plain(data: bytes) -> tuple[Environ, int] | None:
    """Return the WSGI environment of the request that ``data`` begins with, and its size; None if it is not plain."""
    head = _POST.match(data)
    environ = _read_headers(head[1], "POST", "/api/messages") if head else None
    if head is None or environ is None or "HTTP_UPGRADE" in environ:
        return None
    length = environ.get("CONTENT_LENGTH", "")
    if environ.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive" or not _is_size(length):
        return None
    size = head.end() + int(length)
    if size > len(data):
        return None
    environ["wsgi.input"] = BytesIO(data[head.end() : size])
    return environ, size


def read_handshake(data: bytes) -> tuple[Environ, int] | None:
    """Return the WSGI environment of the websocket handshake that ``data`` begins with, and its size; None if none."""
    head = _HANDSHAKE.match(data)
    environ = _read_headers(head[1], "GET", "/ws") if head else None
    if head is None or environ is None or "CONTENT_LENGTH" in environ:
        return None
    asked = {token.strip() for token in environ.get("HTTP_CONNECTION", "").lower().split(",")}
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or "upgrade" not in asked:
        return None
    return environ, head.end()


def _read_headers(lines: bytes, method: str, path: str) -> Environ | None:
    environ: Environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }
    for line in lines[:-2].decode("ascii").split("\r\n"):
        name, _, value = line.partition(": ")
        key = _key(name)
        # Twice the same header, or one that gunicorn would act on.
        if key is None or key in environ:
            return None
        environ[key] = value.rstrip(" ")
    return environ


@lru_cache(maxsize=512)
def _key(name: str) -> str | None:
    if _LEFT_TO_GUNICORN.match(f"{name}:".encode()):
        return None
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _is_size(text: str) -> bool:
    return 0 < len(text) < 6 and text.isascii() and text.isdigit()


def whole_response(answer: Answer, connection: str) -> bytes:
    """Return what is written to a socket that is to be kept alive, or closed, as ``connection`` says."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in answer.headers])
    date = _date(int(time.time()))
    head = f"HTTP/1.1 {answer.status}\r\nServer: gunicorn\r\nDate: {date}\r\nConnection: {connection}\r\n{lines}\r\n"
    return head.encode("latin-1") + answer.body


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return str(http_date(second))
