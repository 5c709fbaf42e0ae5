"""Websocket frames as a server receives them (RFC 6455, section 5), from bytes as they come.

Clients send many small text frames, each whole and masked: these take the short way. A reader that has
nothing half-read holds nothing.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Sequence
from typing import NamedTuple

from chatq.realtime.framing import CloseCode

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN, _RESERVED, _MASKED = 0x80, 0x70, 0x80
_WHOLE_TEXT = _FIN | _TEXT
_MAX_CONTROL_BYTES = 125
_HEADER_BYTES = {126: 8, 127: 14}
"""Bytes before the payload, by the length that stands for a longer one."""
_NO_PARTS: list[str | bytes] = []
_utf8 = codecs.getincrementaldecoder("utf-8")


class Ping(NamedTuple):
    """The client asks whether the server lives; the answer carries ``payload``."""

    payload: bytes


class Pong(NamedTuple):
    """The client answers a ping that carried ``payload``."""

    payload: bytes


class End(NamedTuple):
    """Nothing more is read: the client has closed (``violation`` false), or broke the protocol."""

    code: int
    """What to close with."""
    reason: str
    violation: bool


Received = str | bytes | Ping | Pong | End
"""A text message, a binary message, or something about the connection itself."""


class _Violation(Exception):
    def __init__(self, reason: str, code: int = CloseCode.PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


class Reader:
    """Turns what a client sends into messages, each of at most ``max_message_bytes``.

    Never holds more than one message, and one read of the socket.
    """

    __slots__ = (
        "_buffer", "_decoder", "_ended", "_max_message_bytes", "_needed", "_opcode", "_parts", "_size", "frames",
    )  # fmt: skip

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self.frames = 0
        """How many frames the last call of :meth:`receive` has read, of whatever kind."""
        self._buffer: bytearray | None = None
        """The start of a frame."""
        self._needed = 0
        """How long the buffer must be before looking at it again makes sense."""
        self._opcode: int | None = None
        """Of a message in fragments, as long as it is not whole."""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._parts: list[str | bytes] = _NO_PARTS
        self._size = 0
        """Bytes of the fragments so far."""
        self._ended = False

    def receive(self, data: bytes) -> list[Received]:
        """Take what the socket brought; return what is whole by now, in order. An :class:`End` is the last, ever."""
        self.frames = 0
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data, self._buffer = bytes(self._buffer), None
        received: list[Received] = []
        if not self._ended:
            try:
                self._read(data, received)
            except _Violation as violation:
                received.append(End(violation.code, str(violation), violation=True))
                self._ended = True
                self._parts = _NO_PARTS
        return received

    def _read(self, data: bytes, received: list[Received]) -> None:
        at, end = 0, len(data)
        needed = 2
        while end - at >= needed and not self._ended:
            first, size = data[at], data[at + 1] & 0x7F
            start = at + 6
            if size > 125:
                start = at + _HEADER_BYTES[size]
                if end < start - 4:
                    needed = start - 4 - at
                    break
                size = _long_size(data[at + 2 : start - 4])
            if first != _WHOLE_TEXT or data[at + 1] < _MASKED or self._opcode is not None:
                self._check(first, data[at + 1], size)
            if first & 0x0F < _CLOSE and size + self._size > self._max_message_bytes:
                raise _Violation(f"a message may have {self._max_message_bytes} bytes", CloseCode.TOO_LARGE)
            stop = start + size
            if stop > end:
                needed = stop - at
                break
            payload = _unmasked(data[start - 4 : start], data[start:stop], size)
            at = stop
            self.frames += 1
            if first == _WHOLE_TEXT:
                received.append(_text(payload))
            else:
                received += self._take(first, payload)
        if at < end and not self._ended:
            self._buffer = bytearray(data[at:])
            self._needed = needed

    def _check(self, first: int, second: int, size: int) -> None:
        """Check what a frame's first two bytes say."""
        opcode = first & 0x0F
        if first & _RESERVED:
            raise _Violation("a reserved bit is set, and no extension was agreed to")
        if second < _MASKED:
            raise _Violation("frames of a client must be masked")
        if opcode in {_CLOSE, _PING, _PONG}:
            if not first & _FIN or size > _MAX_CONTROL_BYTES:
                raise _Violation(f"a control frame is never fragmented and has at most {_MAX_CONTROL_BYTES} bytes")
        elif opcode == _CONTINUATION:
            if self._opcode is None:
                raise _Violation("there is no message that this fragment continues")
        elif opcode not in {_TEXT, _BINARY}:
            raise _Violation(f"opcode {opcode:#x} is not known")
        elif self._opcode is not None:
            raise _Violation("a message begins before the one before it has ended")

    def _take(self, first: int, payload: bytes) -> Sequence[Received]:
        """Return what a frame other than a whole text says, if it says something by itself."""
        opcode = first & 0x0F
        if opcode == _PING:
            return (Ping(payload),)
        if opcode == _CLOSE:
            self._ended = True
            return (_end(payload),)
        if opcode == _PONG:
            return (Pong(payload),)
        if opcode != _CONTINUATION:
            if first & _FIN:
                return (payload,)
            self._opcode, self._parts = opcode, []
            self._decoder = _utf8() if opcode == _TEXT else None
        return self._join(payload, final=bool(first & _FIN))

    def _join(self, payload: bytes, *, final: bool) -> Sequence[str | bytes]:
        """Add a fragment to its message; return the message if it is whole now."""
        decoder = self._decoder
        part: str | bytes = payload
        if decoder is not None:
            try:
                part = decoder.decode(payload, final)
            except UnicodeDecodeError as error:
                raise _not_utf8(error) from None
        self._size += len(payload)
        if part:
            self._parts.append(part)
        if not final:
            return ()
        parts = self._parts
        self._opcode = self._decoder = None
        self._parts, self._size = _NO_PARTS, 0
        return ("".join(parts) if decoder is not None else b"".join(parts),)  # type: ignore[arg-type]  # all of one kind


def _long_size(digits: bytes) -> int:
    size = int.from_bytes(digits)
    if size >> 63:
        raise _Violation("a length has its uppermost bit set")
    if size < (126 if len(digits) == 2 else 65536):
        raise _Violation("a length has more bytes than it needs")
    return size


def _unmasked(key: bytes, payload: bytes, size: int) -> bytes:
    """Return the payload without its mask; as two long numbers, which is the fastest that Python itself can do."""
    mask = (key * ((size + 3) >> 2))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")).to_bytes(size, "little")


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from None


def _not_utf8(error: UnicodeDecodeError) -> _Violation:
    return _Violation(f"text is not UTF-8: {error.reason}", CloseCode.NOT_UTF8)


def _end(payload: bytes) -> End:
    if not payload:
        return End(CloseCode.NORMAL, "", violation=False)
    if len(payload) == 1:
        raise _Violation("the code of a close frame has two bytes")
    (code,) = struct.unpack_from("!H", payload)
    # RFC 6455, section 7.4: what is registered for the wire, and what is left to libraries and applications.
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise _Violation(f"{code} is no code to close with")
    _text(payload[2:])
    return End(code, "", violation=False)
