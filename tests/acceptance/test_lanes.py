"""Lanes on a real Valkey: what a lost answer, a cancelled job or a lease that ends does to their order."""

from __future__ import annotations

import pytest

from chatq.queue import keys
from chatq.queue.claims import Finish
from chatq.queue.connection import connect
from chatq.queue.lanes import Lanes
from chatq.queue.scripts import sha, source
from tests.parts.lane import ids, put, work_off
from tests.parts.proxy import Proxy
from tests.parts.valkey import Valkey

pytestmark = pytest.mark.usefixtures("long_leases")


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


def test_a_claim_ahead_whose_answer_is_lost_loses_and_reorders_nothing(valkey: Valkey, proxy: Proxy) -> None:
    # Given a worker with the first of five jobs in hand, and others claimed ahead
    warm_up(valkey)
    jobs = put(valkey.url, ["one", "two", "three", "four", "five"])
    lanes = Lanes(connect(proxy.url), 1, "worker")
    held = lanes.take(1)
    assert held is not None
    # When the answers to the claim, and to the finish with the claim after it, are lost
    proxy.lose_answer_to(sha("claim").encode())
    lanes.claim_ahead(held, 2)
    assert [claim.job_id for claim in lanes.settle(held)] == jobs[1:3]
    proxy.lose_answer_to(sha("finish").encode())
    assert lanes.finish(held, Finish(done=jobs[:1]), 1)
    # Then all the others are done once each, in order
    assert ids(held) == jobs[1:3]
    done = work_off(lanes, held, 1)
    while (held := lanes.take()) is not None:
        done += work_off(lanes, held)
    assert proxy.lost == 2
    assert done == jobs[1:]


@pytest.mark.parametrize("ahead", [0, 1])
def test_no_claim_goes_before_a_finish_that_the_server_has_yet_to_learn(valkey: Valkey, ahead: int) -> None:
    # Given a server that knows how to claim, but not how to finish, and a worker with a job in hand and one
    # ahead, or none
    jobs = put(valkey.url, ["one", "two", "three"])
    client = valkey.client()
    client.script_flush()
    client.script_load(source("claim"))
    lanes = Lanes(connect(valkey.url), 1, "worker")
    held = lanes.take(1)
    assert held is not None
    if ahead:
        lanes.claim_ahead(held, ahead)
        assert len(lanes.settle(held)) == ahead
    # When it finishes that job and claims no more, as it does when it is told to stop
    assert lanes.finish(held, Finish(done=jobs[:1]), 0)
    lanes.settle(held)
    # Then what it has in hand does not wait as well
    assert ids(held) == jobs[1 : 1 + ahead]
    assert client.lrange(keys.queue(keys.lane_name(0)), 0, -1) == jobs[1 + ahead :]
    # And the others are done once each, in order
    done = work_off(lanes, held, 0)
    while (held := lanes.take()) is not None:
        done += work_off(lanes, held)
    assert done == jobs[1:]


def test_what_a_dead_worker_had_claimed_ahead_comes_back_in_order(valkey: Valkey) -> None:
    # Given a worker that dies with one job in hand and two claimed ahead
    jobs = put(valkey.url, ["one", "two", "three", "four"])
    dead = Lanes(connect(valkey.url), 1, "dead")
    held = dead.take(1)
    assert held is not None
    dead.claim_ahead(held, 2)
    assert len(dead.settle(held)) == 2
    with connect(valkey.url) as client:
        client.delete(keys.lease(0))
    # When another takes the lane
    other = Lanes(connect(valkey.url), 1, "other")
    taken = other.take()
    # Then it has all of them, in order, and must take the lane over in the database
    assert taken is not None
    assert ids(taken) == jobs
    assert taken.epoch is None
    # And the first one, should it live after all, gets nothing more
    assert dead.finish(held, Finish(done=jobs[:1]))
    assert not dead.finish(held, Finish(done=jobs[1:3]))
    assert held.claims == []
    assert work_off(other, taken) == jobs


def test_numbers_that_somebody_wrote_by_hand_stop_nobody(valkey: Valkey) -> None:
    # Given a job's attempts and a lane's epoch that are no numbers
    jobs = put(valkey.url, ["one", "two"])
    with connect(valkey.url) as client:
        client.hset(keys.job(jobs[0]), "number_of_retries", "many")
        client.set(keys.epoch(0), "-")
    # When a worker takes the lane, then the job counts as never tried, and the database is asked for the epoch
    lanes = Lanes(connect(valkey.url), 1, "worker")
    held = lanes.take()
    assert held is not None
    assert ([claim.attempts for claim in held.claims], held.epoch) == ([0, 0], None)
    assert work_off(lanes, held) == jobs


def warm_up(valkey: Valkey) -> None:
    """Let the server learn all scripts."""
    lanes = Lanes(connect(valkey.url), 1, "warm-up")
    put(valkey.url, ["warm-up"])
    held = lanes.take()
    assert held is not None
    work_off(lanes, held)
