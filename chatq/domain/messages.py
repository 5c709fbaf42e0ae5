"""A message: what a client says of a new one, and what clients get to see."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from chatq.domain.wire import EXPLAIN, NOT_PUBLISHED, ClientId, Timestamp, Wire, encode
from chatq.errors import FieldProblem, InvalidFields, TooLarge

DEVELOPMENT_USER = "dev"
"""Who did it, where nobody is named."""
MAX_METADATA_BYTES = 16384
"""Limit of a message's ``metadata``, as JSON."""
MAX_METADATA_DEPTH = 64
"""How many levels of objects and arrays ``metadata`` may have: no encoder or decoder gives up before."""


def find_content_problem(content: str) -> str | None:
    """Return what makes ``content`` unfit for a message, in words, or None.

    Content is one or more characters that are not all white space, well-formed Unicode without NUL.
    """
    if not content or content.isspace():
        return "is blank"
    if "\0" in content:
        return "contains a NUL character"
    try:
        content.encode()
    except UnicodeEncodeError:
        return "contains half a surrogate pair"
    return None


def find_metadata_problem(metadata: dict[str, Any] | None) -> str | None:
    """Return what makes ``metadata`` unfit for a message, in words, or None."""
    level: list[Any] = [metadata] if metadata else []
    for _ in range(MAX_METADATA_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return None
    return f"is nested more than {MAX_METADATA_DEPTH} levels deep"


def _inside(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


CONTENT_PATTERN = r"\A(?=[^\x00]*\Z)\s*\S"
"""Of text that is not all white space, and without NUL. It takes time in proportion to the text, whatever that is."""
Content = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        pattern=CONTENT_PATTERN,
        description="1 or more characters that are not all white space, without NUL",
        extra={EXPLAIN: find_content_problem},
    ),
]


class Status(StrEnum):
    """How far a message has come; each step includes those before it."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"

    @property
    def rank(self) -> int:
        """0, 1 or 2: a status only ever moves to a higher rank."""
        return _RANKS[self]


_RANKS = {Status.SENT: 0, Status.DELIVERED: 1, Status.READ: 2}

Reached = Annotated[Literal["delivered", "read"], msgspec.Meta(description="delivered or read")]
"""How far a user has come, as they say it: whoever has read a message has received it."""


class MessageData(Wire, omit_defaults=True):
    """The part of a ``sendMessage`` that the sender writes."""

    content: Content
    sender_id: ClientId | None = None
    """Who sends it; by default the caller."""
    client_message_id: ClientId | None = None
    """Chosen by the sender: to send the same again under the same id has no second effect."""
    metadata: dict[str, Any] | None = None
    """Whatever goes with the message; an object of at most 16 KiB, nested at most 64 levels deep."""
    created_at: (
        Annotated[str, msgspec.Meta(description="an RFC 3339 time with an offset", extra_json_schema=NOT_PUBLISHED)]
        | None
    ) = None
    """Only imports (``chatq enqueue``, RQ jobs) may set it."""


class Message(Wire):
    """A message as clients see it. Times are RFC 3339, UTC, in milliseconds."""

    id: str
    conversation_id: str
    seq: int
    """Number of the message's ``newMessage`` event in its conversation."""
    sender_id: str
    client_message_id: str | None
    content: str | None
    """``null`` once the message is deleted."""
    metadata: dict[str, Any] | None
    status: Annotated[str, msgspec.Meta(extra_json_schema={"enum": ["sent", "delivered", "read"]})]
    """The furthest that any member but its sender has come."""
    created_at: Timestamp
    """When it was accepted; of an imported one, when it is said to have been written."""
    persisted_at: Timestamp
    """When it was stored."""
    edited_at: Timestamp | None
    deleted_at: Timestamp | None


def is_same(message: Message, data: MessageData) -> bool:
    """Tell whether a stored message is the one that ``data`` describe."""
    return message.content == data.content and (message.metadata or None) == (data.metadata or None)


def check_size(content: str, metadata: dict[str, Any] | None, max_content_bytes: int) -> None:
    """Refuse content or metadata that is larger than allowed.

    Raises:
        TooLarge: ``content`` has more than ``max_content_bytes`` bytes in UTF-8, or ``metadata`` more than
            :data:`MAX_METADATA_BYTES` as JSON.
        InvalidFields: ``metadata`` is nested too deeply.
    """
    if problem := find_metadata_problem(metadata):
        raise InvalidFields([FieldProblem("messageData.metadata", problem)])
    if len(content) * 4 > max_content_bytes and (size := len(content.encode())) > max_content_bytes:
        raise TooLarge(f"content has {size} bytes; at most {max_content_bytes} are allowed.")
    if metadata is not None and (size := len(encode(metadata))) > MAX_METADATA_BYTES:
        raise TooLarge(f"metadata has {size} bytes as JSON; at most {MAX_METADATA_BYTES} are allowed.")


def check_new(data: MessageData, max_content_bytes: int) -> None:
    """Refuse a message that a client may not send, though its fields are right one by one.

    Raises:
        TooLarge: see :func:`check_size`.
        InvalidFields: ``metadata`` is nested too deeply, or ``createdAt`` is set.
    """
    check_size(data.content, data.metadata, max_content_bytes)
    if data.created_at is not None:
        raise InvalidFields([FieldProblem("messageData.createdAt", "is for imports only (`chatq enqueue`)")])


def max_document_bytes(max_content_bytes: int) -> int:
    """Return how large a JSON document with one message can be that :func:`check_size` lets pass.

    JSON may spell each byte of a string with six characters; a few thousand are left for the rest.
    """
    return 6 * (max_content_bytes + MAX_METADATA_BYTES) + 8192
