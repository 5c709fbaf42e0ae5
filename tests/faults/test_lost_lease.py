"""A lease that ends between a finish and the claim that travels with it, or before they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from chatq.queue import keys
from chatq.queue.claims import Finish
from chatq.queue.connection import connect
from chatq.queue.lanes import Lanes
from chatq.queue.scripts import sha
from tests.faults.splitter import Splitter
from tests.faults.task import Task, raise_faults
from tests.parts.lane import ids, put, work_off
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

pytestmark = pytest.mark.usefixtures("long_leases")


@pytest.fixture
def splitter(short_path: Path, valkey: Valkey, request: pytest.FixtureRequest) -> Iterator[Splitter]:
    """A network that is slow before a ``claim``, or before the script that the test names."""
    marker = sha(getattr(request, "param", "claim"))
    splitter = Splitter(short_path / "proxy.sock", valkey.socket, marker.encode())
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


@pytest.mark.parametrize("splitter", ["finish"], indirect=True)
def test_what_a_worker_gave_up_arrives_after_it_took_the_lane_anew(valkey: Valkey, splitter: Splitter) -> None:
    # Given a server that knows the scripts, and keeps nobody waiting for its disk
    with valkey.client() as operator:
        operator.config_set("appendonly", "no")
    slow, other = Lanes(connect(splitter.url, timeout=2.0), 1, "slow"), Lanes(connect(valkey.url), 1, "other")
    put(valkey.url, ["warm-up"])
    taken = other.take()
    assert taken is not None
    work_off(other, taken)
    # And a worker whose finish the network keeps for so long that it is given up
    jobs = put(valkey.url, ["one", "two", "three", "four", "five"])
    held = slow.take(1)
    assert held is not None
    with pytest.raises(redis.TimeoutError):
        slow.finish(held, Finish(done=jobs[:1]), 2)
    with closing(connect(valkey.url)) as client:
        # When it arrives after the worker has taken the lane anew
        held = slow.take(2)
        assert held is not None
        assert ids(held) == jobs[:2]
        before = scripts_run(client)
        splitter.go_on.set()
        until(lambda: scripts_run(client) == before + 2, what="the late finish, and the claim behind it")
    # Then the worker is given what comes next, and all of it in order
    slow.claim_ahead(held, 2)
    assert [claim.job_id for claim in slow.settle(held)] == jobs[2:4]
    assert work_off(slow, held, 2) == jobs


def scripts_run(client: redis.Redis) -> int:
    """Return how many scripts the server has run by their hash."""
    return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])
