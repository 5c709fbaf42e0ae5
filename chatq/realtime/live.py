"""Live events: frames with their numbers, and the window through which they are seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from chatq.realtime.framing import text_frame

CHUNK_BYTES = 64 * 1024
"""How much of a page is sent before the rest waits for those who get it."""
BURST_BYTES = 256 * 1024
"""How much may be sent to everybody at once; what is more is read from the log, and sent in chunks."""


class Numbered(NamedTuple):
    """An event, ready to be sent."""

    seq: int
    frame: bytes
    rewrites: bool = False
    """Whether earlier events of the same message say something else since."""


class Past(NamedTuple):
    """Events that follow one another in the log."""

    events: list[Numbered]
    last_seq: int
    """The conversation's newest event number."""


class _Head(msgspec.Struct):
    seq: int
    type: str = ""


_REWRITING = frozenset(("messageEdited", "messageDeleted"))
_head_of = msgspec.json.Decoder(_Head).decode


def numbered(payload: str | bytes) -> Numbered:
    """Return a stored event as a frame with its number."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = _head_of(data)
    return Numbered(head.seq, text_frame(data), head.type in _REWRITING)


def is_dense(events: Sequence[Numbered], after: int) -> bool:
    """Tell whether these are the events ``after + 1``, ``after + 2`` and so on."""
    return [event.seq for event in events] == list(range(after + 1, after + 1 + len(events)))


def size_of(events: Iterable[Numbered]) -> int:
    """Return how many bytes these events have."""
    return sum([len(event.frame) for event in events])


def in_chunks(events: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """Yield events in groups of :data:`CHUNK_BYTES`, or of one that is larger."""
    if events and size_of(events) <= CHUNK_BYTES:
        yield list(events)
        return
    chunk: list[Numbered] = []
    size = 0
    for event in events:
        if chunk and size + len(event.frame) > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += len(event.frame)
    if chunk:
        yield chunk


class Window:
    """What passes by live while somebody reads up from the log: as much as may be sent at once."""

    def __init__(self) -> None:
        self._events: list[Numbered] = []
        self._size = 0
        self._complete = True

    def open(self) -> None:
        """Begin anew: what is committed by now will be read."""
        self.spoil()
        self._complete = True

    def see(self, events: Sequence[Numbered]) -> None:
        """Remember live events."""
        self._size += size_of(events)
        if self._size > BURST_BYTES:
            self.spoil()
        elif self._complete:
            self._events += events

    def spoil(self) -> None:
        """Something may have been missed."""
        self._events.clear()
        self._size = 0
        self._complete = False

    def after(self, position: int) -> list[Numbered] | None:
        """Return the live events after ``position``; None if there may be some that are not known here."""
        events: list[Numbered] = []
        for event in self._events:
            if event.seq > position:
                if event.seq != position + 1:
                    return None
                events.append(event)
                position = event.seq
        return events if self._complete else None
