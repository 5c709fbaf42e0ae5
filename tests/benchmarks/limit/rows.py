"""From encoded jobs to rows and frames, in as few steps as msgspec allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


class Data(msgspec.Struct, rename="camel"):
    """``messageData`` of a job."""

    content: str
    sender_id: str
    client_message_id: str | None = None
    metadata: dict[str, Any] | None = None


class Send(msgspec.Struct, rename="camel"):
    """A job's keyword arguments."""

    conversation_id: str
    message_data: Data


class Message(msgspec.Struct, rename="camel"):
    """A message in a frame."""

    id: str
    conversation_id: str
    seq: int
    sender_id: str
    client_message_id: str | None
    content: str
    metadata: dict[str, Any] | None
    status: str
    created_at: str
    persisted_at: str
    edited_at: None = None
    deleted_at: None = None


class NewMessage(msgspec.Struct, rename="camel", tag_field="type", tag="newMessage"):
    """A frame."""

    conversation_id: str
    seq: int
    message: Message


MESSAGE_COLUMNS = "id, conversation_id, seq, sender_id, client_message_id, content, metadata, created_at, persisted_at"
EVENT_COLUMNS = "conversation_id, seq, type, message_id, job_id, payload, created_at"
Row = tuple[str | int | None, ...]

_decode = msgspec.json.Decoder(tuple[str, None, list[str], Send]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Job:
    """A claimed job, decoded."""

    id: str
    created_at: str
    send: Send


@dataclass(slots=True)
class Conversation:
    """A conversation's row."""

    id: str
    last_seq: int
    last_message_id: str = ""
    last_message: str = ""
    last_message_at: str = ""


@dataclass(slots=True)
class Rows:
    """What a batch writes and publishes."""

    messages: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    frames: dict[str, list[str]] = field(default_factory=dict)


def read(claimed: list[list[bytes]]) -> list[Job]:
    """Return claimed jobs decoded."""
    return [Job(id_.decode(), created.decode(), _decode(data)[3]) for id_, data, created in claimed]


def write(jobs: list[Job], seen: set[str], conversations: dict[str, Conversation], now: str) -> Rows:
    """Give each job that is not ``seen`` its number; return its rows and its frame."""
    rows = Rows()
    for job in jobs:
        if job.id in seen:
            continue
        send, data = job.send, job.send.message_data
        conversation = conversations[send.conversation_id]
        conversation.last_seq = seq = conversation.last_seq + 1
        conversation.last_message_id = job.id
        conversation.last_message = data.content
        conversation.last_message_at = job.created_at
        message = Message(
            job.id,
            send.conversation_id,
            seq,
            data.sender_id,
            data.client_message_id,
            data.content,
            data.metadata,
            "sent",
            job.created_at,
            now,
        )
        frame = _encode(NewMessage(send.conversation_id, seq, message)).decode()
        metadata = None if data.metadata is None else _encode(data.metadata).decode()
        rows.messages.append(
            (
                job.id,
                send.conversation_id,
                seq,
                data.sender_id,
                data.client_message_id,
                data.content,
                metadata,
                job.created_at,
                now,
            )
        )
        rows.events.append((send.conversation_id, seq, "newMessage", job.id, job.id, frame, now))
        rows.frames.setdefault(send.conversation_id, []).append(frame)
    return rows
