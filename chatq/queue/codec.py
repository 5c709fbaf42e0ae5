"""Message jobs as RQ stores them: ``[function, null, [], {keyword arguments}]``, in JSON.

RQ compresses this, but reads it uncompressed as well; chatq writes it plain, which is cheaper on both
sides for messages of a few hundred bytes, and still reads either.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple

import msgspec

from chatq.domain.clock import timestamp
from chatq.domain.ids import computed_id, is_uuid, lane_of, lane_of_id, new_id, new_id_about
from chatq.domain.jobs import (
    MESSAGE_FUNCTIONS,
    NAMES,
    MessageJob,
    SendMessage,
    check_message_job,
    function_name,
)
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.domain.wire import convert, encode, parse
from chatq.errors import InvalidFields, JobRefused, MalformedJson, UnregisteredJob

_FUNCTION: dict[type[MessageJob], bytes] = {
    kind: b'["' + function_name(name).encode() + b'",null,[],' for kind, name in NAMES.items()
}
_KIND = {start: kind for kind, start in _FUNCTION.items()}
_decoders: dict[type[MessageJob], msgspec.json.Decoder[MessageJob]] = {
    kind: msgspec.json.Decoder(kind) for kind in _FUNCTION
}


class QueuedJob(NamedTuple):
    """A message job, ready to be enqueued."""

    job_id: str
    message_id: str
    lane: int
    data: bytes
    digest: str
    """Hash of the content, by which a client id used for other content is recognised; '' without one."""
    created_at: str
    description: str
    user: str = ""
    """Whose limit it counts against; '' for nobody's."""


def prepare(
    job: MessageJob, lanes: int, *, now: str | None = None, client_id: str | None = None, user: str = ""
) -> QueuedJob:
    """Return ``job`` with its ids, its lane and its encoded data.

    A ``sendMessage`` must have its ``senderId``. ``client_id`` identifies a job about a message to whoever
    repeats it (an ``Idempotency-Key``); ``user`` is whose limit it counts against, if anybody's.
    """
    if isinstance(job, SendMessage):
        data = job.message_data
        digest = ""
        if data.client_message_id is not None:
            digest = content_digest(data.content, data.metadata)
        message_id = job_id = message_id_of(job, None)
    else:
        message_id = job.message_id
        job_id = new_id_about(message_id)
        digest = ""
        if client_id is not None:
            # The id names what is asked for, so that a repeat is the same job.
            digest = content_digest(encode(job).decode(), None)
            job_id = computed_about(message_id, NAMES[type(job)], client_id)
    return QueuedJob(
        job_id=job_id,
        message_id=message_id,
        lane=lane_of_job(job, lanes),
        data=encode_job(job),
        digest=digest,
        created_at=now or timestamp(),
        description=NAMES[type(job)],
        user=user,
    )


def lane_of_job(job: MessageJob, lanes: int) -> int:
    """Return the number of the lane in which a job lies: its conversation's."""
    if isinstance(job, SendMessage):
        return lane_of(job.conversation_id, lanes)
    return lane_of_id(job.message_id, lanes)


def message_id_of(job: SendMessage, job_id: str | None) -> str:
    """Return the id of the message that a job creates.

    Computed from the client id if there is one. Otherwise chatq's own jobs carry the message's id as their
    own (``job_id`` None: a fresh one), and a plain RQ job's id takes the place of the client id, so that
    running it again gives the same message.
    """
    data = job.message_data
    sender = data.sender_id or DEVELOPMENT_USER
    if data.client_message_id is not None:
        return computed_id(job.conversation_id, sender, data.client_message_id)
    if job_id is None:
        return new_id(job.conversation_id)
    if is_uuid(job_id) and job_id[14] == "7" and lane_of_id(job_id, 4096) == lane_of(job.conversation_id, 4096):
        return job_id
    # '/' is in no client id, so nothing that a client chooses can give the same message.
    return computed_id(job.conversation_id, sender, f"rq/{job_id}")


def computed_about(message_id: str, name: str, client_id: str) -> str:
    """Return the id of the job ``name`` about a message under a client's id; it lies in the message's lane."""
    other = computed_id(message_id, name, client_id)
    return other[:15] + message_id[15:18] + other[18:]


def content_digest(content: str, metadata: dict[str, Any] | None) -> str:
    """Return 16 hexadecimal digits that tell one content from another."""
    text = content.encode() + (b"\0" + msgspec.json.encode(metadata, order="sorted") if metadata else b"")
    return hashlib.sha256(text).hexdigest()[:16]


def encode_job(job: MessageJob) -> bytes:
    """Return a message job as RQ's ``data``."""
    return _FUNCTION[type(job)] + encode(job) + b"]"


def decode_job(data: bytes) -> MessageJob:
    """Return the checked message job that RQ's ``data`` holds.

    Raises:
        JobRefused: it is no JSON, or not of its job's form.
        UnregisteredJob: it is no message job.
    """
    head = data.find(b",null,[],")
    if head > 0 and (kind := _KIND.get(data[: head + 9])) is not None:
        try:
            return check_message_job(_decoders[kind].decode(memoryview(data)[head + 9 : -1]))
        except (msgspec.MsgspecError, UnicodeError, RecursionError, InvalidFields):
            # The slow way says what is wrong.
            pass
    return _decode_slowly(data)


def _decode_slowly(data: bytes) -> MessageJob:
    try:
        parts = parse(_decompressed(data))
    except MalformedJson as error:
        raise JobRefused(
            f"The job's data are not JSON: {error.detail} chatq reads jobs of RQ's JSON serializer only."
        ) from None
    if not (isinstance(parts, list) and len(parts) == 4 and isinstance(parts[0], str)):
        raise JobRefused("The job's data are not a function with its arguments.")
    function, instance, args, kwargs = parts
    kind = MESSAGE_FUNCTIONS.get(function)
    if kind is None:
        raise UnregisteredJob(f"{function[:200]!r} is no message job, so it was not run.")
    if instance is not None or args or not isinstance(kwargs, dict):
        raise JobRefused(f"{function} takes keyword arguments only.")
    try:
        return check_message_job(convert(kwargs, kind))
    except (InvalidFields, MalformedJson) as error:
        raise JobRefused(f"{function}: {error.detail}") from None


def _decompressed(data: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        return unpacker.decompress(data, 16 << 20)
    except zlib.error:
        return data
