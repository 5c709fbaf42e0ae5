"""An HTTP client that knows that an answer can be lost: it repeats its request until there is one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Event
from typing import Any

PATIENCE = 120.0
"""Seconds within which a request has to be answered, whatever is killed meanwhile."""
PAUSE = 0.1
"""Seconds after which a request without an answer is repeated."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be repeated: its body or its key says that it is the same."""

    method: str
    path: str
    body: dict[str, Any] | None
    user: str
    key: str | None = None
    """``Idempotency-Key``."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    document: dict[str, Any]
    tries: int
    """How often the request was sent; each of those may have been done."""


class Client:
    """Asks the APIs on ``ports``, another one after each request that was not answered."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._at = 0
        self._connection: HTTPConnection | None = None
        self._given_up = Event()
        self.unanswered = 0
        """How often there was no answer."""

    def ask(self, request: Request) -> Answer:
        """Send a request until it is answered. 503 is no answer: it may be done, or not."""
        deadline = time.monotonic() + PATIENCE
        tries = 0
        while True:
            tries += 1
            try:
                status, document = self._send(request)
            except (OSError, HTTPException):
                status, document = 0, {}
            if status not in (0, 503):
                return Answer(status, document, tries)
            self.unanswered += 1
            self.close()
            self._at += 1
            assert time.monotonic() < deadline, f"no answer within {PATIENCE} s to {request}; the last was {document}"
            # As any client would: not at once, or it would only add to the trouble.
            assert not self._given_up.wait(PAUSE), f"nobody waits any more for the answer to {request}"

    def give_up(self) -> None:
        """Wait for no answer any more."""
        self._given_up.set()

    def move(self) -> None:
        """Use another API for the next request."""
        self.close()
        self._at += 1

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, request: Request) -> tuple[int, dict[str, Any]]:
        if self._connection is None:
            port = self._ports[self._at % len(self._ports)]
            self._connection = HTTPConnection("127.0.0.1", port, timeout=15)
        headers = {"X-Chatq-User": request.user}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        body = None
        if request.body is not None:
            body = json.dumps(request.body)
            headers["Content-Type"] = "application/json"
        self._connection.request(request.method, request.path, body, headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())
