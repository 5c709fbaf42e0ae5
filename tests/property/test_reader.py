"""The reader of websocket frames, against another implementation, whatever comes and however it is cut."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from chatq.realtime.reader import End, Ping, Pong, Reader, Received

LIMIT = 1 << 17
BAD_GATEWAY = 1014
"""A code that is registered, but that wsproto does not know."""


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Return a frame, most often a right one of a kind that belongs somewhere."""
    fin, opcode = draw(st.booleans()), draw(st.sampled_from([0, 0, 1, 1, 1, 2, 8, 9, 9, 10, draw(st.integers(0, 15))]))
    reserved = draw(st.sampled_from([0, 0, 0, 0, 0, 0x10, 0x20, 0x40]))
    masked = draw(st.sampled_from([True] * 9 + [False]))
    if opcode == 8:
        code = draw(st.integers(0, 6000)).to_bytes(2)
        payload = draw(st.sampled_from([b"", b"x", code, code + "bye ä".encode(), code + b"\xff"]))
    else:
        payload = draw(
            st.binary(max_size=40)
            | st.text(max_size=40).map(str.encode)
            | st.text(max_size=3).map(lambda text: text.encode()[:-1])
            | st.sampled_from([125, 126, 127, 65535, 65536, LIMIT - 1, LIMIT]).map(lambda size: b"a" * size)
        )
    width = draw(st.sampled_from([None] * 9 + [2, 8]))
    return encoded(opcode, payload, fin=fin, reserved=reserved, masked=masked, width=width)


def encoded(
    opcode: int, payload: bytes, *, fin: bool = True, reserved: int = 0, masked: bool = True, width: int | None = None
) -> bytes:
    """Return a frame; ``width`` is how many bytes its length has, where it has more than one."""
    if width is None:
        width = 0 if len(payload) < 126 else 2 if len(payload) < 65536 else 8
    if width == 2 and len(payload) >= 65536:
        width = 8
    short = {0: len(payload) & 0x7F, 2: 126, 8: 127}[width]
    head = bytes(((0x80 if fin else 0) | reserved | opcode, (0x80 if masked else 0) | short))
    head += len(payload).to_bytes(width) if width else b""
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


streams = st.lists(frames() | st.binary(max_size=12), min_size=1, max_size=8).map(b"".join)


@given(streams, st.data())
def test_it_reads_what_another_implementation_reads(stream: bytes, data: st.DataObject) -> None:
    # Given what a client sends, cut anywhere
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    # When both read it
    reader = Reader(LIMIT)
    received = [item for piece in pieces for item in reader.receive(piece)]
    expected = by_wsproto(stream)
    # Then both understand the same; the other one may refuse a frame before all of it is there
    if ended(expected) and not ended(received):
        received += reader.receive(bytes(LIMIT + 14))
    if received and isinstance(received[-1], End) and received[-1].code == 4413:
        assert received[:-1] == expected[: len(received) - 1]
    else:
        assert plain(received) == plain(expected)
    # And nothing comes after the end
    if ended(received):
        assert reader.receive(encoded(1, b"late")) == []


@given(streams)
def test_cuts_make_no_difference(stream: bytes) -> None:
    whole, slow = Reader(LIMIT), Reader(LIMIT)
    at_once = whole.receive(stream)
    one_by_one = [item for at in range(min(len(stream), 3000)) for item in slow.receive(stream[at : at + 1])]
    one_by_one += slow.receive(stream[3000:])
    assert at_once == one_by_one


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.sampled_from([1, 2]), st.integers(0, 100))
def test_a_message_is_refused_before_it_is_larger_than_allowed(sizes: list[int], opcode: int, limit: int) -> None:
    # Given a message in fragments
    reader, received = Reader(limit), []
    for at, size in enumerate(sizes):
        fragment = encoded(opcode if at == 0 else 0, b"a" * size, fin=at == len(sizes) - 1)
        # When only a fragment's head is there, or all of it
        received += reader.receive(fragment[:6])
        received += reader.receive(fragment[6:])
    # Then it is read, or the connection is over
    whole = b"a" * sum(sizes)
    if sum(sizes) <= limit:
        assert received == [whole.decode() if opcode == 1 else whole]
    else:
        assert [type(item) for item in received] == [End]
        assert isinstance(received[0], End)
        assert received[0].code == 4413


def by_wsproto(stream: bytes) -> list[Received]:
    """Return what wsproto reads."""
    protocol = FrameProtocol(client=False, extensions=[])
    received: list[Received] = []
    parts: list[Any] = []
    protocol.receive_bytes(stream)
    try:
        for frame in protocol.received_frames():
            payload: Any = frame.payload
            if frame.opcode is Opcode.PING:
                received.append(Ping(bytes(payload)))
            elif frame.opcode is Opcode.CLOSE:
                code = 1000 if payload[0] is CloseReason.NO_STATUS_RCVD else int(payload[0])
                received.append(End(code, "", violation=False))
                break
            elif frame.opcode is Opcode.PONG:
                received.append(Pong(bytes(payload)))
            else:
                parts.append(payload)
                if frame.message_finished:
                    received.append(type(payload)().join(parts))
                    parts = []
    except ParseFailed as error:
        received.append(End(int(error.code), "", violation=True))
    return received


def ended(received: list[Received]) -> bool:
    return bool(received) and isinstance(received[-1], End)


def plain(received: list[Received]) -> list[Received]:
    """Return it with no reasons, and without what the two see differently."""
    return [
        End(1002 if item.code == BAD_GATEWAY else item.code, "", item.violation or item.code == BAD_GATEWAY)
        if isinstance(item, End)
        else item
        for item in received
    ]
