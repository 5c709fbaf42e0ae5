"""An answer to a request, built by hand: the same for Flask's views and for what is served in front of Flask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from chatq.domain.wire import encode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Header = tuple[str, str]

_LINES = {int(status): f"{status.value} {status.phrase}" for status in HTTPStatus}
# Whoever asks for the state of things wants it as it is now.
_JSON_HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status line, headers and body; a WSGI application that always says the same."""

    status: str
    headers: list[Header]
    body: bytes

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        start_response(self.status, self.headers)
        return (self.body,)

    def with_headers(self, headers: list[Header]) -> Answer:
        """Return the same answer with more headers."""
        return Answer(self.status, self.headers + headers, self.body) if headers else self


def status_line(status: int) -> str:
    """Return a status code with its phrase, e.g. ``202 Accepted``."""
    return _LINES[status]


def json_answer(
    value: object, status: int = 200, *, kind: str = "application/json", headers: Sequence[Header] = ()
) -> Answer:
    """Return an answer whose body is ``value`` as JSON, of the media type ``kind``."""
    body = encode(value)
    return Answer(
        _LINES[status],
        [("Content-Type", kind), ("Content-Length", str(len(body))), *_JSON_HEADERS, *headers],
        body,
    )


def html_answer(document: str, *, headers: Sequence[Header] = ()) -> Answer:
    """Return an answer whose body is an HTML page."""
    body = document.encode()
    return Answer(
        _LINES[200],
        [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body))), *headers],
        body,
    )
