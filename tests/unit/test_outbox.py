"""The outbox: in order, whole, bounded, and never in anybody's way."""

from __future__ import annotations

import random
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from chatq.realtime.outbox import MAX_WAITING_BYTES, Outbox
from tests.parts.waiting import PATIENCE_SECONDS


class Pair:
    """An outbox that writes to one end of a pair of sockets; the other end is the client's."""

    def __init__(self) -> None:
        self.server, self.client = socket.socketpair()
        for end in (self.server, self.client):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.settimeout(PATIENCE_SECONDS)
        self.overflows = 0
        self.outbox = Outbox(self.server, self._overflow)

    def _overflow(self) -> None:
        self.overflows += 1

    def read(self, size: int) -> bytes:
        """Return as many bytes as asked for, as the client gets them."""
        data = bytearray()
        while len(data) < size:
            more = self.client.recv(min(size - len(data), 5000))
            assert more, "the connection ended"
            data += more
        return bytes(data)

    def read_all(self) -> bytes:
        """Return everything up to the end, once all is written."""
        reader = gevent.spawn(self._read_to_end)
        self.outbox.join(PATIENCE_SECONDS)
        self.server.shutdown(socket.SHUT_WR)
        data: bytes = reader.get(timeout=PATIENCE_SECONDS)
        return data

    def _read_to_end(self) -> bytes:
        data = bytearray()
        while more := self.client.recv(5000):
            data += more
        return bytes(data)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.server.close()
    pair.client.close()


def test_what_the_kernel_takes_is_written_at_once(pair: Pair) -> None:
    pair.outbox.send(b"hello")
    assert pair.client.recv(100) == b"hello"


def test_frames_arrive_whole_and_in_order_however_slowly_they_are_read(pair: Pair) -> None:
    frames = [bytes([n % 256]) * random.randint(1, 9000) for n in range(200)]
    for frame in frames:
        pair.outbox.send(frame)
    assert pair.read(sum(map(len, frames))) == b"".join(frames)
    pair.outbox.send(b"and on")
    assert pair.read(6) == b"and on"
    assert pair.overflows == 0


def test_too_much_overflows_and_the_last_frame_still_follows_a_whole_one(pair: Pair) -> None:
    frame = b"[" + b"x" * 99998 + b"]"
    while not pair.overflows:
        pair.outbox.send(frame)
    pair.outbox.end(b"(the end)", at_once=True)
    pair.outbox.send(b"nothing more")

    data = pair.read_all()

    assert data.endswith(b"](the end)")
    whole = data.removesuffix(b"(the end)")
    assert len(whole) % len(frame) == 0
    assert 1 <= len(whole) // len(frame) < MAX_WAITING_BYTES // len(frame)


def test_end_after_what_waits_leaves_nothing_out(pair: Pair) -> None:
    for _ in range(50):
        pair.outbox.send(b"x" * 10000)
    pair.outbox.end(b"(the end)", at_once=False)
    assert pair.read_all() == b"x" * 500_000 + b"(the end)"


def test_waiting_until_below(pair: Pair) -> None:
    assert pair.outbox.wait_until_below(0, 1)
    pair.outbox.send(b"x" * 100_000)
    assert not pair.outbox.wait_until_below(50_000, 0.05), "nobody reads"
    waiter = gevent.spawn(pair.outbox.wait_until_below, 50_000, PATIENCE_SECONDS)
    gevent.sleep(0)
    pair.read(60_000)
    assert waiter.get(timeout=PATIENCE_SECONDS) is True
    waiter = gevent.spawn(pair.outbox.wait_until_below, 0, PATIENCE_SECONDS)
    gevent.sleep(0)
    pair.outbox.end(b"", at_once=True)
    assert waiter.get(timeout=PATIENCE_SECONDS) is False


def test_connection_that_is_gone_swallows_everything(pair: Pair) -> None:
    pair.client.close()
    for _ in range(1000):
        pair.outbox.send(b"x" * 10000)
    assert not pair.outbox.wait_until_below(0, 1)
    pair.server.close()
    pair.outbox.send(b"x")
    assert pair.overflows == 0
