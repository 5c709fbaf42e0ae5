"""What a client may say over the websocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from chatq.domain.wire import ClientId, Wire, convert, parse
from chatq.errors import FieldProblem, InvalidFields, MalformedJson, UnknownType

Ref = Annotated[str, msgspec.Meta(max_length=128, description="text of at most 128 characters")]
"""Chosen by the client; comes back with the error that its frame met."""
Since = Annotated[int, msgspec.Meta(ge=0, le=1 << 53, description="a whole number, 0 or more")]


class ClientFrame(Wire, kw_only=True):
    """What all frames of a client have."""

    type: str
    ref: Ref | None = None


class Auth(ClientFrame, kw_only=True):
    """Say who one is, or go on being it, with a token."""

    token: str


class DevelopmentAuth(ClientFrame, kw_only=True):
    """Say who one is, in development mode, where one is believed."""

    user_id: ClientId


class Join(ClientFrame, kw_only=True):
    """Follow a conversation; with ``since``, from the event after that number on."""

    conversation_id: ClientId
    since: Since | None = None


class Leave(ClientFrame, kw_only=True):
    """Follow a conversation no more."""

    conversation_id: ClientId


class Ping(ClientFrame):
    """Ask for the newest event numbers of what one follows."""


KINDS: dict[str, type[ClientFrame]] = {"auth": Auth, "join": Join, "leave": Leave, "ping": Ping}
"""The frames that are known, by type."""
DEVELOPMENT_KINDS: dict[str, type[ClientFrame]] = {**KINDS, "auth": DevelopmentAuth}
"""The same in development mode."""


def parse_object(message: str | bytes) -> dict[str, object]:
    """Return the JSON object that a message holds.

    Raises:
        MalformedJson: the message is binary, or not well-formed.
        InvalidFields: it is something else than an object.
    """
    if isinstance(message, bytes):
        raise MalformedJson("Frames are JSON in text messages; this one is binary.")
    document = parse(message)
    if not isinstance(document, dict):
        raise InvalidFields([FieldProblem("", "a frame must be a JSON object")])
    return document


def read_frame(document: dict[str, object], kinds: Mapping[str, type[ClientFrame]] = KINDS) -> ClientFrame:
    """Return the frame of one of ``kinds`` that ``document`` describes.

    Raises:
        UnknownType: its type is not known.
        InvalidFields: naming each field that is wrong.
    """
    kind = document.get("type")
    if kind is None:
        raise InvalidFields([FieldProblem("type", "is missing")])
    if not isinstance(kind, str) or kind not in kinds:
        raise UnknownType(f"No frame has the type {str(kind)[:100]!r}; known are {', '.join(kinds)}.")
    return convert(document, kinds[kind])
