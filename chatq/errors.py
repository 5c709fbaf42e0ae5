"""Every error that chatq foresees, in one tree, with the exit codes beside it.

An edge (a command, a route, a socket) catches :class:`ChatqError` once and translates it: commands into
a line on stderr and :attr:`ChatqError.exit_code`, HTTP into ``application/problem+json`` with
:attr:`ChatqError.status` and :attr:`ChatqError.code`, the websocket into an ``error`` frame with the
same code. A class's docstring is its default message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a command's exit status tells a script."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REDIS = 3
    DATABASE = 4


class ChatqError(Exception):
    """Something that chatq foresaw went wrong."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    status: ClassVar[int] = 500
    """HTTP status code of the problem document."""
    code: ClassVar[str] = "internal"
    """Stable name of the problem, the last part of its ``/problems/<code>`` page."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail if detail is not None else (self.__doc__ or "").strip()
        super().__init__(self.detail)


# --- settings and commands -----------------------------------------------------------------------


class BadUsage(ChatqError):
    """A command was called with something that it cannot use."""

    exit_code = ExitCode.USAGE


class BadSetting(BadUsage):
    """A setting has a value that chatq cannot use."""


# --- Redis ---------------------------------------------------------------------------------------


class RedisError(ChatqError):
    """Redis cannot be used."""

    exit_code = ExitCode.REDIS
    status = 503
    code = "queue-unavailable"


class RedisUnavailable(RedisError):
    """Redis does not answer."""


class RedisUnfit(RedisError):
    """This Redis lacks something that chatq needs."""


class DurabilityUnknown(RedisError):
    """Redis took the message, but did not confirm the asked-for durability in time."""

    code = "durability-unknown"


class Overloaded(RedisError):
    """The queue is too deep, or Redis too full, to take more at present."""

    code = "overloaded"

    def __init__(self, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Seconds after which it is worth to try again."""


# --- database ------------------------------------------------------------------------------------


class DatabaseError(ChatqError):
    """The database cannot be used."""

    exit_code = ExitCode.DATABASE
    status = 503
    code = "database-unavailable"


class DatabaseUnavailable(DatabaseError):
    """The database does not answer."""


class DatabaseOutOfDate(DatabaseError):
    """The database's schema is not the one that this version of chatq works with."""


class OtherInstallation(DatabaseError):
    """Redis belongs to another installation's database."""


class LaneLost(ChatqError):
    """Another worker has taken this lane over; what was in hand is its work now."""


# --- requests: what a client said cannot be done -------------------------------------------------


class RequestRefused(ChatqError):
    """The request cannot be done as it stands."""

    status = 400
    code = "bad-request"


class MalformedJson(RequestRefused):
    """The body is not well-formed JSON in UTF-8."""

    code = "malformed-json"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that is wrong."""

    field: str
    """Dotted path from the top of the document, e.g. ``messageData.content``; empty for the whole."""
    problem: str
    """What is wrong with it, in words."""


class InvalidFields(RequestRefused):
    """Some fields are missing, unknown or have values that cannot be used."""

    status = 422
    code = "invalid-fields"

    def __init__(self, problems: list[FieldProblem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.field}: {p.problem}" if p.field else p.problem for p in problems))


class NotAuthenticated(RequestRefused):
    """It is not known who asks: a token is needed."""

    status = 401
    code = "unauthorized"


class TokenRefused(NotAuthenticated):
    """The token is not valid, or not any more."""


class Forbidden(RequestRefused):
    """The caller may not do this."""

    status = 403
    code = "forbidden"


class OriginRefused(RequestRefused):
    """The request comes from a web page, or goes to a host name, that this server does not serve."""

    status = 403
    code = "origin-refused"


class TooLarge(RequestRefused):
    """The content or the request is larger than is allowed."""

    status = 413
    code = "too-large"


class IdempotencyMismatch(RequestRefused):
    """This client id was used before for other content."""

    status = 422
    code = "idempotency-mismatch"


class NotFound(RequestRefused):
    """There is nothing at this address."""

    status = 404
    code = "not-found"


class UnknownMessage(NotFound):
    """There is no message with this id."""

    code = "unknown-message"


class UnknownJob(NotFound):
    """There is no job with this id; finished message jobs are not kept."""

    code = "unknown-job"


class UnknownConversation(NotFound):
    """There is no conversation with this id."""

    code = "unknown-conversation"


class ConversationExists(RequestRefused):
    """There is a conversation with this id already, and the caller does not own it."""

    status = 409
    code = "conversation-exists"


class LastOwner(RequestRefused):
    """A conversation with members keeps an owner: its last one stays until there is another."""

    status = 409
    code = "last-owner"


class MessageDeleted(RequestRefused):
    """This message has been deleted."""

    status = 409
    code = "message-deleted"


class MethodNotAllowed(RequestRefused):
    """This address does not take requests of this method."""

    status = 405
    code = "method-not-allowed"


class RequestTimeout(RequestRefused):
    """The request did not arrive in time."""

    status = 408
    code = "request-timeout"


class UnsupportedMediaType(RequestRefused):
    """The body is of a kind that is not understood here."""

    status = 415
    code = "unsupported-media-type"


class UpgradeRequired(RequestRefused):
    """This address speaks the websocket protocol only."""

    status = 426
    code = "upgrade-required"


class UnknownType(RequestRefused):
    """No frame of this type is known."""

    code = "unknown-type"


class RateLimited(RequestRefused):
    """The user has done too much of this in too short a time."""

    status = 429
    code = "rate-limited"

    def __init__(
        self, detail: str | None = None, retry_after: int = 1, *, quota: int = 0, window_seconds: int = 0
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Seconds after which it is worth to try again."""
        self.quota = quota
        """How much is allowed in ``window_seconds``, for whoever has a way to say so; 0 if nobody has."""
        self.window_seconds = window_seconds


class NotReady(ChatqError):
    """The server cannot work at present, because something that it needs does not answer."""

    status = 503
    code = "not-ready"


# --- jobs: what a worker says of one job ---------------------------------------------------------


class JobRefused(ChatqError):
    """The job can never succeed as it stands; it is failed without another attempt."""


class UnregisteredJob(JobRefused):
    """No handler is registered under this job's name."""
