"""Websocket frames as a server sends them (RFC 6455, section 5): never masked, never fragmented.

A frame is made once and written to every socket that it goes to.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A
_MAX_REASON_BYTES = 123


class CloseCode(IntEnum):
    """Why a connection ends. 44xx: do not come back unchanged. 45xx: reconnect and resume."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    NOT_UTF8 = 1007
    NOT_AUTHENTICATED = 4401
    FORBIDDEN = 4403
    TOO_LARGE = 4413
    TOO_FAST = 4429
    FAULT = 4500
    DRAINING = 4503
    TOO_SLOW = 4508


def text_frame(payload: bytes) -> bytes:
    """Return the frame of a text message, given in UTF-8."""
    return _frame(_TEXT, payload)


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame that ends a connection; ``reason`` is cut where it is too long."""
    text = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore").encode()
    return _frame(_CLOSE, struct.pack("!H", code) + text)


def ping_frame(payload: bytes = b"") -> bytes:
    """Return the frame that asks the other side whether it lives; the answer carries ``payload`` as well."""
    return _frame(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    """Return the answer to a ping that carried ``payload``."""
    return _frame(_PONG, payload)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
