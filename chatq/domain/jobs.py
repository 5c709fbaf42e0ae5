"""Jobs: their names, the data that each carries, and how a name becomes an RQ function name.

A job is asked for by name (``sendMessage``) and stored as an ordinary RQ job whose function is
``chatq.jobs.<name in snake case>`` and whose keyword arguments are the data, with the field names of the
wire.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from chatq.domain.clock import is_time
from chatq.domain.messages import Content, MessageData, Reached, find_metadata_problem
from chatq.domain.wire import NOT_PUBLISHED, ClientId, MessageId, Wire, convert
from chatq.errors import FieldProblem, InvalidFields

FUNCTION_PREFIX = "chatq.jobs."
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}\Z")


Expiry = Annotated[
    str, msgspec.Meta(description="an RFC 3339 time with an offset", extra_json_schema={"format": "date-time"})
]


class _Expiring(Wire, omit_defaults=True, kw_only=True):
    """What every message job may carry."""

    expires_at: Expiry | None = None
    """A time after which the job is not done any more."""


class SendMessage(_Expiring):
    """Store a new message."""

    conversation_id: ClientId
    message_data: MessageData
    joins: Annotated[bool, msgspec.Meta(extra_json_schema=NOT_PUBLISHED)] | None = None
    """Whether the sender becomes a member, and the conversation is made if need be; by default so."""


class EditMessage(_Expiring):
    """Give a message new content."""

    message_id: MessageId
    content: Content
    conversation_id: ClientId | None = None


class DeleteMessage(_Expiring):
    """Erase a message's content and leave a tombstone."""

    message_id: MessageId
    conversation_id: ClientId | None = None


class UpdateMessageStatus(_Expiring):
    """Record that a user has received, or read, everything up to a message."""

    message_id: MessageId
    status: Reached
    user_id: ClientId | None = None
    """By default ``dev``, the user of development mode."""
    conversation_id: ClientId | None = None
    joins: bool | None = None
    """Whether the user becomes a member; by default so. If not, it has no effect for one who is not in there."""


MessageJob = SendMessage | EditMessage | DeleteMessage | UpdateMessageStatus

MESSAGE_JOBS: dict[str, type[MessageJob]] = {
    "sendMessage": SendMessage,
    "editMessage": EditMessage,
    "deleteMessage": DeleteMessage,
    "updateMessageStatus": UpdateMessageStatus,
}
"""The jobs that chatq itself does, by name."""


def function_name(name: str) -> str:
    """Return the RQ function name of the job ``name``: ``sendMessage`` is ``chatq.jobs.send_message``.

    Raises:
        InvalidFields: a name is a letter, then letters, digits and underscores, 128 characters at most.
    """
    if not _NAME.match(name):
        raise InvalidFields(
            [FieldProblem("name", f"{name[:40]!r} is no job name: a letter, then letters, digits and underscores")]
        )
    return FUNCTION_PREFIX + re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


MESSAGE_FUNCTIONS: dict[str, type[MessageJob]] = {function_name(n): kind for n, kind in MESSAGE_JOBS.items()}
"""The same jobs by RQ function name."""

NAMES: dict[type[MessageJob], str] = {kind: name for name, kind in MESSAGE_JOBS.items()}


def check_message_job(job: MessageJob) -> MessageJob:
    """Return ``job`` after checking what the types alone do not say: that times are times, and how deep metadata go.

    Raises:
        InvalidFields: naming each field that is wrong.
    """
    if isinstance(job, SendMessage):
        data = job.message_data
        if data.metadata is None and data.created_at is None and job.expires_at is None:
            return job
    elif job.expires_at is None:
        return job
    times = {"expiresAt": job.expires_at}
    if isinstance(job, SendMessage):
        times["messageData.createdAt"] = job.message_data.created_at
    problems = [
        FieldProblem(name, "must be an RFC 3339 time with an offset")
        for name, text in times.items()
        if text is not None and not is_time(text)
    ]
    if isinstance(job, SendMessage) and (problem := find_metadata_problem(job.message_data.metadata)):
        problems.append(FieldProblem("messageData.metadata", problem))
    if problems:
        raise InvalidFields(problems)
    return job


def read_message_job(name: str, data: object) -> MessageJob:
    """Return ``data``, plain values from outside, as the checked data of the message job ``name``.

    For ``sendMessage`` the fields of ``messageData`` may stand flat beside ``conversationId``.

    Raises:
        InvalidFields: naming each field that is wrong.
    """
    kind = MESSAGE_JOBS[name]
    if kind is SendMessage and isinstance(data, dict) and "messageData" not in data:
        try:
            return check_message_job(convert(_nested(data), kind))
        except InvalidFields as error:
            flat = [FieldProblem(p.field.removeprefix("messageData."), p.problem) for p in error.problems]
            raise InvalidFields(flat) from None
    return check_message_job(convert(data, kind))


def _nested(data: dict[str, Any]) -> dict[str, Any]:
    outer = {name: data[name] for name in ("conversationId", "expiresAt", "joins") if name in data}
    return outer | {"messageData": {name: value for name, value in data.items() if name not in outer}}
