"""What is known of a message, wherever it is: in the database, or still in Redis."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal, cast

from redis import Redis
from sqlalchemy import Engine

from chatq.domain.jobs import SendMessage
from chatq.domain.messages import DEVELOPMENT_USER, Message
from chatq.errors import JobRefused, UnknownMessage
from chatq.queue import keys
from chatq.queue.codec import decode_job
from chatq.queue.connection import translated
from chatq.queue.jobs import WAITING_STATES
from chatq.store.failures import find_failure
from chatq.store.history import find_message
from chatq.store.work import EXPIRED

State = Literal["queued", "persisted", "failed", "expired", "deleted"]


@dataclass(frozen=True, slots=True)
class Known:
    """Where a message stands."""

    state: State
    conversation_id: str
    author: str
    message: Message | None = None
    error: str | None = None
    """Why it failed."""


def find(engine: Engine, redis: Redis, message_id: str, *, failed: bool = True) -> Known:
    """Return where a message stands; with ``failed`` false, one that failed or expired counts as unknown.

    Raises:
        UnknownMessage: there is none with this id.
        RedisError: it is not in the database, and Redis cannot be asked.
        DatabaseError: the database cannot be asked.
    """
    known = _stored(engine, message_id) or _waiting(redis, message_id)
    if known is None or known.state == "failed":
        # It may have left Redis for the database between the two looks.
        known = _stored(engine, message_id) or _failure(engine, message_id) or known
    if known is None or (known.state in {"failed", "expired"} and not failed):
        raise UnknownMessage
    return known


def _stored(engine: Engine, message_id: str) -> Known | None:
    message = find_message(engine, message_id)
    if message is None:
        return None
    state: State = "persisted" if message.deleted_at is None else "deleted"
    return Known(state, message.conversation_id, message.sender_id, message)


def _failure(engine: Engine, message_id: str) -> Known | None:
    failure = find_failure(engine, message_id)
    if failure is None:
        return None
    state: State = "expired" if failure.reason == EXPIRED else "failed"
    error = failure.reason if state == "failed" else None
    return Known(state, failure.conversation_id, failure.sender_id, error=error)


def _waiting(redis: Redis, message_id: str) -> Known | None:
    """Return what Redis knows of the job that makes the message: it has the message's id."""
    with translated():
        found = redis.hmget(keys.job(message_id), "status", "data", "exc_info")
    status, data, trace = cast("list[bytes | None]", found)
    if status is None or data is None:
        return None
    try:
        job = decode_job(data)
    except JobRefused:
        return None
    if not isinstance(job, SendMessage):
        return None
    author = job.message_data.sender_id or DEVELOPMENT_USER
    if status.decode(errors="replace") in WAITING_STATES:
        return Known("queued", job.conversation_id, author)
    error = last_line(trace) or "The message's job was cancelled."
    return Known("failed", job.conversation_id, author, error=error)


def last_line(trace: bytes | None) -> str | None:
    """Return the last line of a job's traceback as RQ keeps it, or None."""
    if not trace:
        return None
    try:
        text = zlib.decompress(trace).decode(errors="replace")
    except zlib.error:
        text = trace.decode(errors="replace")
    lines = text.strip().splitlines()
    return lines[-1] if lines else None
