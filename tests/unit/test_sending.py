"""What sockets hand in: bounded, in order, and answered whatever happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from chatq.errors import ChatqError, Overloaded
from chatq.queue.codec import QueuedJob
from chatq.queue.edge import Accepted
from chatq.realtime.connection import Connection
from chatq.realtime.sending import MAX_WEIGHT, Order, Sending
from tests.parts.waiting import PATIENCE_SECONDS


@dataclass
class SlowEdge:
    """Accepts jobs only while it is open; fails as it is told."""

    opened: Event = field(default_factory=Event)
    accepted: list[str] = field(default_factory=list)
    fault: Exception | None = None

    def accept(self, jobs: Sequence[QueuedJob]) -> list[Accepted | ChatqError]:
        self.opened.wait()
        if self.fault is not None:
            raise self.fault
        self.accepted += [job.job_id for job in jobs]
        return [Accepted(job.message_id, job.job_id, repeat=False) for job in jobs]


@dataclass
class Desk:
    """A connection, its client's end, and where it hands in."""

    edge: SlowEdge
    sending: Sending
    connection: Connection
    client: socket.socket
    handed_in: int = 0

    def hand_in(self, count: int, size: int = 10) -> None:
        for _ in range(count):
            job = order(str(self.handed_in), size)
            self.sending.hand_in(self.connection, [job])
            self.handed_in += 1


@pytest.fixture
def desk() -> Iterator[Desk]:
    server, client = socket.socketpair()
    client.settimeout(PATIENCE_SECONDS)
    edge = SlowEdge()
    yield Desk(edge, Sending(edge.accept), Connection(server, 1000), client)
    server.close()
    client.close()


def order(ref: str, size: int) -> Order:
    job = QueuedJob(f"j{ref}", f"m{ref}", 0, b"x" * size, "", "2026-01-02T03:04:05.678Z", "sendMessage")
    return Order([ref], job, answered=True)


@pytest.mark.parametrize(("size", "held"), [(10, MAX_WEIGHT + 1), (10 * 1024, MAX_WEIGHT // 11 + 1)])
def test_who_has_too_much_in_hand_waits_until_some_is_answered(desk: Desk, size: int, held: int) -> None:
    # Given a Redis that says nothing, and a client that sends without end
    greenlet = gevent.spawn(desk.hand_in, 1000, size)
    gevent.idle()
    # Then it is stopped
    assert desk.handed_in == held - 1
    assert not greenlet.dead
    # And goes on once Redis answers
    desk.edge.opened.set()
    greenlet.get(timeout=PATIENCE_SECONDS)
    desk.connection.wait_until_settled(timeout=PATIENCE_SECONDS)
    assert desk.edge.accepted == [f"j{number}" for number in range(1000)]


@pytest.mark.parametrize("fault", [Overloaded("full"), RuntimeError("unforeseen")])
def test_a_fault_is_told_and_the_next_are_accepted(desk: Desk, fault: Exception) -> None:
    desk.edge.opened.set()
    desk.edge.fault = fault
    desk.hand_in(3)
    desk.connection.wait_until_settled(timeout=PATIENCE_SECONDS)
    told = desk.client.recv(4096)
    if isinstance(fault, ChatqError):
        assert told.count(b'"code":"overloaded"') == 3
    else:
        assert b"went wrong" in told
    desk.edge.fault = None
    desk.hand_in(1)
    desk.connection.wait_until_settled(timeout=PATIENCE_SECONDS)
    assert desk.edge.accepted == ["j3"]


def test_closing_waits_for_what_is_in_hand(desk: Desk) -> None:
    desk.hand_in(1)
    desk.connection.close(4503, "draining")
    gevent.idle()
    desk.edge.opened.set()
    heard = b""
    while b"draining" not in heard:
        heard += desk.client.recv(4096)
    assert heard.index(b'"accepted"') < heard.index(b"draining")


def test_closing_at_once_leaves_out_what_is_in_hand(desk: Desk) -> None:
    desk.hand_in(1)
    desk.connection.close(4508, "too slow", at_once=True)
    assert b"too slow" in desk.client.recv(4096)
    desk.edge.opened.set()
    desk.connection.wait_until_settled(timeout=PATIENCE_SECONDS)
    assert desk.edge.accepted == ["j0"]
