"""Frames as a server sends them, read by an implementation of the protocol that is not ours."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from chatq.realtime.framing import CloseCode, close_frame, ping_frame, pong_frame, text_frame


def read(data: bytes) -> list[tuple[Opcode, object]]:
    """Return opcode and payload of each frame, as a client understands them."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    frames = list(protocol.received_frames())
    assert all(frame.frame_finished and frame.message_finished for frame in frames)
    return [(frame.opcode, frame.payload) for frame in frames]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_text_of_any_length(size: int) -> None:
    assert read(text_frame(b"x" * size)) == [(Opcode.TEXT, "x" * size)]


def test_control_frames() -> None:
    assert read(ping_frame()) == [(Opcode.PING, b"")]
    assert read(pong_frame(b"ab")) == [(Opcode.PONG, b"ab")]
    assert read(close_frame(CloseCode.DRAINING, "bye")) == [(Opcode.CLOSE, (4503, "bye"))]


def test_long_reason_is_cut_between_letters() -> None:
    assert read(close_frame(CloseCode.FAULT, "é" * 100)) == [(Opcode.CLOSE, (4500, "é" * 61))]
