"""What a client's user may meet: the server's own errors by their codes, and a few of the client's."""

from __future__ import annotations

from collections.abc import Iterator

from chatq.client.connection import Frame
from chatq.client.loop import backoff
from chatq.errors import ChatqError, FieldProblem, InvalidFields

PASSING = frozenset(
    ("overloaded", "queue-unavailable", "durability-unknown", "database-unavailable", "not-ready", "rate-limited")
)
"""Codes of errors that pass by themselves."""


def pause_after(error: Frame, attempt: int) -> float:
    """Return how many seconds to wait after an error that passes, the first being attempt 0.

    No less than the server says, for whoever was too fast.
    """
    return float(error.get("retryAfter", 0)) + backoff(attempt)


class ClientClosed(ChatqError):
    """The client is closed."""


class ConnectionRefused(ChatqError):
    """The server ended the connection and does not want it back as it is."""


class NoAnswer(ChatqError):
    """The server has not answered in time."""


def refusal(code: str, detail: str) -> ChatqError:
    """Return the error that the server named by its code."""
    kind = next((kind for kind in _tree(ChatqError) if kind.code == code), None)
    if kind is None:
        return ChatqError(f"{code}: {detail}")
    return InvalidFields([FieldProblem("", detail)]) if issubclass(kind, InvalidFields) else kind(detail)


def _tree(kind: type[ChatqError]) -> Iterator[type[ChatqError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
