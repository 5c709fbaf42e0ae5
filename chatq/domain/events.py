"""Events: what happened in a conversation, as the frames that every websocket client gets.

A stored event's payload *is* its frame: the worker encodes it once, the database keeps it, and it is
published, replayed and published again byte for byte.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from chatq.domain.messages import Message, Reached
from chatq.domain.wire import Wire, encode

EventType = Literal["newMessage", "messageEdited", "messageDeleted", "messageStatus"]


class NewMessage(Wire, tag_field="type", tag="newMessage"):
    """A message was stored."""

    conversation_id: str
    seq: int
    """The conversation's next event number, as in each of the four kinds of event."""
    message: Message


class MessageEdited(Wire, tag_field="type", tag="messageEdited"):
    """A message has new content."""

    conversation_id: str
    seq: int
    message: Message


class MessageDeleted(Wire, tag_field="type", tag="messageDeleted"):
    """A message's content was erased."""

    conversation_id: str
    seq: int
    message_id: str


class MessageStatus(Wire, tag_field="type", tag="messageStatus"):
    """``user_id`` has received, or read, everything up to this message."""

    conversation_id: str
    seq: int
    message_id: str
    status: Reached
    user_id: str


class MessageFailed(Wire, tag_field="type", tag="messageFailed"):
    """A message will not be stored. For its sender alone, without a number; kept until the sender's next ``auth``."""

    message_id: str
    client_message_id: str | None
    """If the sender chose one, and it is still known."""
    reason: str
    """Why, in words."""


Event = NewMessage | MessageEdited | MessageDeleted | MessageStatus
"""The four kinds of event that carry a conversation's next number."""

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def event_type(event: Event) -> EventType:
    """Return the event's ``type`` as it stands in the frame."""
    tag: EventType = event.__struct_config__.tag  # type: ignore[assignment]  # a tag is typed as any str or int
    return tag


def to_payload(event: Event | MessageFailed) -> str:
    """Return the event's frame."""
    return encode(event).decode()


def from_payload(payload: str) -> Event:
    """Return the event that a stored frame describes."""
    return _decoder.decode(payload)
