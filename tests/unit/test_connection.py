"""A connection's end: whoever is silent, hangs or breaks off is let go, and no greenlet stays behind."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import socket

from chatq.realtime import connection as connection_module
from chatq.realtime.connection import Closed, Connection
from tests.parts.client import frame
from tests.parts.waiting import PATIENCE_SECONDS

PONG, CLOSE = 0x8A, 0x88


class Served:
    """A connection whose messages are read by a greenlet until it ends, as a session does."""

    def __init__(self) -> None:
        self.server, self.client = socket.socketpair()
        self.client.settimeout(PATIENCE_SECONDS)
        self.connection = Connection(self.server, 1000)
        self.greenlet = gevent.spawn(self._serve)

    def _serve(self) -> None:
        try:
            while True:
                self.connection.receive()
        except Closed:
            self.connection.finish()
        finally:
            self.server.close()

    def wait(self) -> None:
        """Wait until it has ended."""
        self.greenlet.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(connection_module, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr(connection_module, "ANSWER_SECONDS", 0.1)


@pytest.fixture
def served(hurry: None) -> Iterator[Served]:
    """A connection that has ended, with all its greenlets, once the test is over."""
    before = _alive()
    served = Served()
    yield served
    served.wait()
    served.client.close()
    del served.connection, served.greenlet
    with gevent.Timeout(PATIENCE_SECONDS):
        while _alive() > before:
            gevent.sleep(0.01)


def _alive() -> int:
    """Count connections, and greenlets that run."""
    gc.collect()
    objects = gc.get_objects()
    return sum(isinstance(one, Connection) or (isinstance(one, gevent.Greenlet) and not one.dead) for one in objects)


def test_client_that_is_silent_is_asked_and_then_let_go(served: Served) -> None:
    assert served.client.recv(100) == b"\x89\x00", "a ping"
    served.wait()
    assert served.client.recv(100) == b""


def test_client_that_answers_pings_stays(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    # So long that the answer is in time on a machine that has much else to do.
    monkeypatch.setattr(connection_module, "HEARTBEAT_SECONDS", 0.5)
    for _ in range(3):
        assert served.client.recv(2) == b"\x89\x00"
        served.client.sendall(frame(10, b""))
    assert not served.greenlet.ready()
    served.client.close()


@pytest.mark.parametrize(
    "end",
    [
        lambda served: served.client.close(),
        lambda served: served.client.shutdown(socket.SHUT_WR),
        lambda served: served.client.sendall(frame(8, struct.pack("!H", 1000))),
        lambda served: served.client.sendall(frame(1, b"x", masked=False)),
        lambda served: served.client.sendall(frame(1, b"x" * 1001)),
        lambda served: served.connection.close(4503, "bye"),
        lambda served: served.connection.close(4500, "bye", at_once=True),
        lambda served: (served.connection.send(b"x" * (1 << 21)), served.client.close()),
        # Nobody reads: what waits is never written.
        lambda served: served.connection.send(b"x" * (1 << 21)),
        lambda served: (served.connection.send(b"x" * 500_000), served.connection.close(4503, "bye")),
    ],
    ids=[
        "closed", "half closed", "close frame", "violation", "too large", "sent away", "sent away at once",
        "closed while it is written to", "never read", "never read and sent away",
    ],
)  # fmt: skip
def test_nothing_stays_behind_however_it_ends(served: Served, end: Callable[[Served], object]) -> None:
    gevent.sleep(0)
    end(served)
