"""Lanes on a real Valkey: what a lost answer, a cancelled job or a lease that ends does to their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatq.queue.connection import connect
from chatq.queue.lanes import Finish, Lanes
from chatq.queue.scripts import sha
from tests.parts.lane import ids, put, work_off
from tests.parts.proxy import Proxy
from tests.parts.valkey import Valkey


@pytest.fixture
def proxy(short_path: Path, valkey: Valkey) -> Iterator[Proxy]:
    proxy = Proxy(short_path / "proxy.sock", valkey.socket)
    yield proxy
    proxy.close()


def test_a_finish_whose_answer_is_lost_loses_and_reorders_nothing(valkey: Valkey, proxy: Proxy) -> None:
    # Given a server that knows the scripts, and four jobs, of which a worker has claimed the first
    warm_up(valkey)
    first, *others = put(valkey.url, ["one", "two", "three", "four"])
    lanes = Lanes(connect(proxy.url), 1, "worker")
    held = lanes.take(1)
    assert held is not None
    assert ids(held) == [first]
    # When the answer to its finish is lost, so that the finish is sent once more
    proxy.lose_answer_to(sha("finish").encode())
    assert lanes.finish(held, Finish(done=[first]), 1)
    assert proxy.lost == 1
    # Then the others are done once each, in order
    done = work_off(lanes, held, 1)
    while (held := lanes.take()) is not None:
        done += work_off(lanes, held)
    assert done == others


def test_a_take_whose_answer_is_lost_loses_and_reorders_nothing(valkey: Valkey, proxy: Proxy) -> None:
    # Given a server that knows the scripts, and two jobs
    warm_up(valkey)
    jobs = put(valkey.url, ["one", "two"])
    # When the answer to a worker's take is lost, so that the take is sent once more
    lanes = Lanes(connect(proxy.url), 1, "worker")
    proxy.lose_answer_to(sha("take").encode())
    held = lanes.take()
    # Then it has the jobs all the same, in order, and once
    assert proxy.lost == 1
    assert held is not None
    assert work_off(lanes, held) == jobs
    assert lanes.take() is None


def warm_up(valkey: Valkey) -> None:
    """Let the server learn all scripts."""
    lanes = Lanes(connect(valkey.url), 1, "warm-up")
    put(valkey.url, ["warm-up"])
    held = lanes.take()
    assert held is not None
    work_off(lanes, held)
