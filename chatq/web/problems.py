"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import structlog
from msgspec import UNSET, UnsetType
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing.exceptions import WebsocketMismatch

from chatq import errors
from chatq.domain.wire import Wire
from chatq.errors import (
    ChatqError,
    DatabaseError,
    FieldProblem,
    InvalidFields,
    NotReady,
    Overloaded,
    RateLimited,
    RedisError,
)
from chatq.web.answers import Answer, Header, json_answer
from chatq.web.quota import refusal_headers
from chatq.web.requests import SAFE_METHODS

RETRY_AFTER_SECONDS = 1
"""When a server that cannot work at present should be asked again."""

log = structlog.get_logger("chatq.web")


def problem(error: Exception, method: str) -> Answer:
    """Return the answer that tells the client of ``error``, which a request with ``method`` met.

    What was not foreseen is logged with its traceback; the client learns no more than that it happened.
    """
    headers: list[Header] = []
    if isinstance(error, HTTPException):
        headers = [(name, value) for name, value in error.get_headers() if name == "Allow"]
        error = _of_werkzeug(error)
    if not isinstance(error, ChatqError):
        log.error("unforeseen error", exc_info=error)
        error = ChatqError("Something went wrong on the server; its log says what.")
    if isinstance(error, errors.NotAuthenticated):
        refused = ', error="invalid_token"' if isinstance(error, errors.TokenRefused) else ""
        headers.append(("WWW-Authenticate", f'Bearer realm="chatq"{refused}'))
    if isinstance(error, errors.UpgradeRequired):
        headers.append(("Upgrade", "websocket"))
    if isinstance(error, Overloaded):
        headers.append(("Retry-After", str(error.retry_after)))
    elif isinstance(error, RateLimited):
        headers += refusal_headers(error)
    elif isinstance(error, RedisError | DatabaseError | NotReady):
        headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    document = describe(error, method)
    return json_answer(document, error.status, kind="application/problem+json", headers=headers)


def describe(error: ChatqError, method: str) -> ProblemDocument:
    """Return the problem document of ``error``, which a request with ``method`` met."""
    kind = type(error)
    return ProblemDocument(
        type=f"/problems/{kind.code}",
        title=title(kind.code),
        status=kind.status,
        detail=error.detail,
        code=kind.code,
        error=_in_words(kind, method),
        errors=error.problems if isinstance(error, InvalidFields) else UNSET,
        retry_after=error.retry_after if isinstance(error, RateLimited) else UNSET,
    )


class ProblemDocument(Wire):
    """What went wrong (RFC 9457)."""

    type: str
    """Where its code is explained."""
    title: str
    """The code in words."""
    status: int
    """As in the answer's first line."""
    detail: str
    """What it was in this case."""
    code: str
    """Stable name of the problem, for programs."""
    error: str
    """What it means, in a line."""
    errors: list[FieldProblem] | UnsetType = UNSET
    """Every field that is wrong."""
    retry_after: int | UnsetType = UNSET
    """Seconds after which it is worth to try again."""


def title(code: str) -> str:
    """Return a code in words."""
    return code.replace("-", " ").capitalize().replace("json", "JSON")


def _of_werkzeug(error: HTTPException) -> ChatqError | HTTPException:
    if isinstance(error, MethodNotAllowed):
        return errors.MethodNotAllowed(f"Allowed here: {', '.join(sorted(error.valid_methods or ()))}.")
    if isinstance(error, WebsocketMismatch):
        return errors.UpgradeRequired()
    if isinstance(error, NotFound):
        return errors.NotFound()
    if error.code is not None and error.code < 500:
        return errors.RequestRefused(error.description)
    return error


def _in_words(kind: type[ChatqError], method: str) -> str:
    if issubclass(kind, RedisError) and method not in SAFE_METHODS:
        return "Failed to queue message"
    return (kind.__doc__ or "").strip().removesuffix(".")
