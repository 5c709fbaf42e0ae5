"""A lease that ends between a finish and the claim that travels with it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event

import pytest

from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.queue.lanes import Finish, Lanes
from chatq.queue.scripts import sha
from tests.faults.task import Task, raise_faults
from tests.parts.lane import ids, put, work_off
from tests.parts.proxy import Proxy, _shut
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


class Splitter(Proxy):
    """A network that is slow in the middle of a pipeline."""

    def __init__(self, path: Path, server: Path, marker: bytes) -> None:
        """``marker``: what the command begins with, behind its name, before which all waits for ``go_on``."""
        super().__init__(path, server)
        self.go_on = Event()
        self._marker = marker

    def _requests(self, client: socket.socket, server: socket.socket, losing: Event, deaf: Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if (at := data.find(self._marker)) >= 0:
                    start = data.rfind(b"\r\n*", 0, at) + 2
                    server.sendall(data[:start])
                    self.go_on.wait(20)
                    data = data[start:]
                server.sendall(data)
        _shut(server)


@pytest.fixture
def splitter(short_path: Path, valkey: Valkey) -> Iterator[Splitter]:
    splitter = Splitter(short_path / "proxy.sock", valkey.socket, sha("claim").encode())
    yield splitter
    splitter.go_on.set()
    splitter.close()


def test_a_lease_ends_between_finish_and_claim(valkey: Valkey, splitter: Splitter) -> None:
    # Given a server that knows the scripts
    slow, other = Lanes(connect(splitter.url), 1, "slow"), Lanes(connect(valkey.url), 1, "other")
    put(valkey.url, ["warm-up"])
    taken = other.take()
    assert taken is not None
    work_off(other, taken)
    # And a worker that has one of three jobs in hand, and a network that is slow in the middle of its finish
    first, second, third = put(valkey.url, ["one", "two", "three"])
    held = slow.take(1)
    assert held is not None
    assert ids(held) == [first]
    kept = []
    finishing = Task(lambda: kept.append(slow.finish(held, Finish(done=[first]), 1)))
    finishing.start()
    with closing(connect(valkey.url)) as client:
        until(lambda: not client.llen(keys.claims(0)), what="the finish done")
        # When its lease ends then, and another worker takes the lane
        client.delete(keys.lease(0))
        taken = other.take(1)
        assert taken is not None
        splitter.go_on.set()
        finishing.join()
        raise_faults([finishing])
        # Then the first one knows that it has nothing, and leaves the other's claims alone
        assert kept == [True]
        assert held.claims == []
        assert client.lrange(keys.claims(0), 0, -1) == [second.encode()]
    assert work_off(other, taken, 1) == [second, third]
