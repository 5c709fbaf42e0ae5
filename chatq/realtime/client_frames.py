"""What a client may say over the websocket."""

from __future__ import annotations

import json
from typing import Annotated, Any, Union

import msgspec

from chatq.domain.messages import MessageData, Reached
from chatq.domain.wire import ClientId, MessageId, Wire, convert, parse
from chatq.errors import FieldProblem, InvalidFields, MalformedJson, UnknownType

Ref = Annotated[str, msgspec.Meta(max_length=128, description="text of at most 128 characters")]
"""Chosen by the client; comes back with the answer to its frame."""
Since = Annotated[int, msgspec.Meta(ge=0, le=1 << 53, description="a whole number, 0 or more")]


class ClientFrame(Wire, tag_field="type", kw_only=True):
    """What all frames of a client have, beside their ``type``."""

    ref: Ref | None = None
    """Comes back with the answer, if that is an ``error``."""


class Auth(ClientFrame, tag="auth", kw_only=True):
    """Say who one is, or go on being it, with a token."""

    token: str
    """A JSON Web Token, as it goes into an ``Authorization`` header over HTTP."""


class DevelopmentAuth(ClientFrame, tag="auth", kw_only=True):
    """Say who one is, in development mode, where one is believed."""

    user_id: ClientId


class Join(ClientFrame, tag="join", kw_only=True):
    """Follow a conversation; with ``since``, from the event after that number on."""

    conversation_id: ClientId
    since: Since | None = None
    """Number of the last event that one has; without it, only what happens from now on is told."""


class Leave(ClientFrame, tag="leave", kw_only=True):
    """Follow a conversation no more."""

    conversation_id: ClientId


class Ping(ClientFrame, tag="ping"):
    """Ask for the newest event numbers of what one follows."""


class Send(ClientFrame, tag="send", kw_only=True):
    """Send a message: what a ``POST /api/messages`` does."""

    ref: Ref
    """Comes back with the answer."""
    conversation_id: ClientId
    message_data: MessageData


class Mark(ClientFrame, tag="status", kw_only=True):
    """Say that one has received, or read, everything up to a message: what a ``PATCH`` of its status does."""

    message_id: MessageId
    """The furthest message that was received, or read."""
    status: Reached


class Type(ClientFrame, tag="typing", kw_only=True):
    """Tell the others in a conversation that one is typing, every few seconds, or is not any more."""

    conversation_id: ClientId
    active: bool


Frame = Auth | DevelopmentAuth | Join | Leave | Ping | Send | Mark | Type


class Language:
    """The frames that are understood."""

    def __init__(self, **kinds: type[Frame]) -> None:
        """Take them by type."""
        self._kinds = kinds
        self._decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Union[tuple(kinds.values())])  # noqa: UP007  # of a tuple

    def read(self, message: str | bytes) -> Frame:
        """Return the frame that a message holds.

        Raises:
            MalformedJson: the message is binary, or not well-formed.
            UnknownType: its type is not known.
            InvalidFields: naming each field that is wrong.
        """
        if isinstance(message, str):
            try:
                return self._decoder.decode(message)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                # The slow way says what is wrong.
                pass
        document = _parse_object(message)
        kind = document.pop("type", None)
        if kind is None:
            raise InvalidFields([FieldProblem("type", "is missing")])
        if not isinstance(kind, str) or kind not in self._kinds:
            raise UnknownType(f"No frame has the type {str(kind)[:100]!r}; known are {', '.join(self._kinds)}.")
        return convert(document, self._kinds[kind])


_COMMON: dict[str, type[Frame]] = {
    "join": Join, "leave": Leave, "send": Send, "status": Mark, "typing": Type, "ping": Ping,
}  # fmt: skip
LANGUAGE = Language(auth=Auth, **_COMMON)
DEVELOPMENT_LANGUAGE = Language(auth=DevelopmentAuth, **_COMMON)


def find_ref(message: str | bytes) -> str | None:
    """Return the ``ref`` of a message that is no frame, if it has one.

    Also where only a string or a number in it is none, as half a surrogate pair or NaN: a client that is not told which
    of its messages was refused says it again.
    """
    try:
        document = json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None
    ref = document.get("ref") if isinstance(document, dict) else None
    return ref.encode(errors="ignore").decode() if isinstance(ref, str) else None


def _parse_object(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise MalformedJson("Frames are JSON in text messages; this one is binary.")
    document = parse(message)
    if not isinstance(document, dict):
        raise InvalidFields([FieldProblem("", "a frame must be a JSON object")])
    return document
