"""``/asyncapi.json``: the websocket as an AsyncAPI document, made from the frames' types."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import msgspec

from chatq.domain.events import Event, MessageFailed
from chatq.realtime import server_frames
from chatq.realtime.client_frames import Auth, DevelopmentAuth, Join, Leave, Mark, Ping, Send, Type
from chatq.realtime.framing import CloseCode
from chatq.realtime.server_frames import ServerFrame
from chatq.version import version
from chatq.web.examples import add_examples
from chatq.web.schemas import Schema, components, ref

_ABOUT = """
One JSON object a text frame, each with `type`. Event numbers (`seq`) of a conversation are 1, 2, 3 … without a gap: a
client drops a number that it has, and joins again with `since` when one is missing. An `error` has a stable `code`,
which [/problems](/problems) explains. HTTP has [a document of its own](/openapi.json), and [/docs](/docs) is a page to
read and try both.
""".strip()
_ANSWERS: dict[type, tuple[type[ServerFrame], ...]] = {
    Auth: (server_frames.Authenticated,),
    DevelopmentAuth: (server_frames.Authenticated,),
    Join: (server_frames.Joined,),
    Leave: (server_frames.Left,),
    Send: (server_frames.Accepted,),
    Mark: (),
    Type: (),
    Ping: (server_frames.Pong,),
}
"""What each frame of a client is answered, if it is not refused with an ``error``."""
CLOSE_CODES = {
    CloseCode.NOT_AUTHENTICATED: "No valid token came in ten seconds, or the token has ended: come back with another.",
    CloseCode.FORBIDDEN: "Pages of this origin may not use the server.",
    CloseCode.TOO_LARGE: "A frame was larger than the server takes.",
    CloseCode.TOO_FAST: "Too many frames, sockets or bad tokens: come back after a minute or so, and more slowly.",
    CloseCode.FAULT: "Something went wrong on the server: reconnect and resume.",
    CloseCode.DRAINING: "The server ends: reconnect and resume.",
    CloseCode.TOO_SLOW: "More than 1 MiB waited to be read by the client: reconnect and resume.",
}
"""44xx: do not come back unchanged. 45xx: reconnect, and join again with ``since``."""

_CHANNEL = {"$ref": "#/channels/socket"}


def asyncapi(host: str, *, secure: bool, with_tokens: bool) -> dict[str, Any]:
    """Return the document of a server that is known as ``host``, and that asks for tokens or is in development mode."""
    servers = {"here": {"host": host, "protocol": "wss" if secure else "ws"}}
    return {**_of_any_server(with_tokens=with_tokens), "servers": servers}


@cache
def _of_any_server(*, with_tokens: bool) -> dict[str, Any]:
    asked: list[Any] = [Auth if with_tokens else DevelopmentAuth, Join, Leave, Send, Mark, Type, Ping]
    told: list[Any] = [*ServerFrame.__subclasses__(), *get_args(Event), MessageFailed]
    messages = {_key(kind, "client"): _message(kind) for kind in asked}
    messages |= {_key(kind, "server"): _message(kind) for kind in told}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "chatq",
            "version": version(),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {},
        "channels": {
            "socket": {
                "address": "/ws",
                "description": _closing(),
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in messages},
                "bindings": {"ws": {"method": "GET"}},
                "x-close-codes": [
                    {"code": code, "meaning": meaning, "reconnect": code >= CloseCode.FAULT}
                    for code, meaning in CLOSE_CODES.items()
                ],
            }
        },
        "operations": _operations(asked, told),
        "components": {"messages": messages, "schemas": add_examples(components(asked, told))},
    }


def _operations(asked: list[Any], told: list[Any]) -> dict[str, Any]:
    operations = {
        _type(kind): {
            "action": "receive",
            "channel": _CHANNEL,
            "summary": _summary(kind),
            "messages": [_in_channel(kind, "client")],
            "reply": {
                "channel": _CHANNEL,
                "messages": [
                    *(_in_channel(answer, "server") for answer in _ANSWERS[kind]),
                    _in_channel(server_frames.Error, "server"),
                ],
            },
        }
        for kind in asked
    }
    answers = {answer for answers in _ANSWERS.values() for answer in answers}
    operations["events"] = {
        "action": "send",
        "channel": _CHANNEL,
        "summary": "What the server says by itself.",
        "messages": [_in_channel(kind, "server") for kind in told if kind not in answers],
    }
    return operations


def _message(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"name": _type(kind), "title": _type(kind), "summary": _summary(kind), "payload": ref(kind)}


def _in_channel(kind: type[msgspec.Struct], side: str) -> Schema:
    return {"$ref": f"#/channels/socket/messages/{_key(kind, side)}"}


def _key(kind: type[msgspec.Struct], side: str) -> str:
    """Return the name of a frame; clients and the server both have one of the type ``typing``."""
    return f"{side}.{_type(kind)}"


def _type(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _summary(kind: type[msgspec.Struct]) -> str:
    return (kind.__doc__ or "").strip().replace("``", "`")


def _closing() -> str:
    rows = "\n".join(f"| {code.value} | {meaning} |" for code, meaning in CLOSE_CODES.items())
    return (
        "How the server ends a connection, beside the codes of the protocol itself. After a 44xx a client does not "
        "come back unchanged; after a 45xx it reconnects, and joins again with `since`.\n\n"
        f"| code | meaning |\n|---|---|\n{rows}"
    )
