"""Workers that die or sleep at the worst moments, and those who take their lanes over."""

from __future__ import annotations

from contextlib import closing

import pytest

from chatq.queue import keys
from chatq.queue.connection import connect
from tests.faults.feeder import feeders
from tests.faults.points import IN_TRANSACTION, POINTS, Deed, Point
from tests.faults.reconcile import check_database, keep_leases, left_in_queue, wait_until_quiet
from tests.faults.system import System
from tests.parts.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize("deed", Deed)
def test_a_lane_is_taken_over_from_a_worker_at_any_point(system: System, deed: Deed) -> None:
    # Given a lane for each point, and in it a worker that stops there
    can_sleep_anywhere = system.database.is_server or deed is Deed.KILL
    points = [point for point in POINTS if can_sleep_anywhere or point not in IN_TRANSACTION]
    workers = {point: system.start_worker() for point in points}
    for point, worker in workers.items():
        worker.wait_until_ready()
        worker.order(point, deed)
    rooms = feeders(system, len(points))
    with system.asleep():
        for room in rooms:
            room.talk()
    for point, worker in workers.items():
        worker.wait_at(point)
    for room in rooms:
        room.talk()
    # When another worker is there
    other = system.start_ready_worker()
    # Then it does what they left, and what waited behind it
    wait_until_quiet(system)
    if deed is Deed.FREEZE:
        # And when they wake while it has jobs of one of their lanes in hand, these are in good hands all the same
        other.order(Point.CLAIMED, Deed.FREEZE)
        for room in rooms:
            room.talk()
        other.wait_at(Point.CLAIMED)
        for worker in workers.values():
            worker.wake()
        wait_until_quiet(system)
        other.wake()
    for room in rooms:
        room.talk()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript for room in rooms])


def test_a_worker_that_overslept_does_nothing_of_what_it_had_in_hand(system: System) -> None:
    # Given a worker that sleeps with an edit in hand that changes nothing, in a lane that it has worked on before
    worker = system.start_ready_worker()
    (room,) = feeders(system, 1)
    message = room.send("old")
    wait_until_quiet(system)
    worker.order(Point.CLAIMED, Deed.FREEZE)
    room.edit(message, "old")
    worker.wait_at(Point.CLAIMED)
    # When another does that one, and one that changes something
    room.edit(message, "new")
    system.start_ready_worker()
    wait_until_quiet(system)
    # Then the first does not bring the old content back when it wakes: only the fence is in its way
    worker.wake()
    worker.wait_to_log("lane lost")
    check_database(system.engine, [room.transcript])


@pytest.mark.parametrize("deed", Deed)
def test_a_lane_is_free_again_within_five_seconds(system: System, deed: Deed) -> None:
    # Given an idle worker, and one that stops with jobs in hand
    (room,) = feeders(system, 1)
    idle = system.start_ready_worker()
    worker = system.start_ready_worker()
    worker.order(Point.COMMITTED, deed)
    idle.freeze()
    worker.freeze()
    room.talk()
    worker.wake()
    worker.wait_at(Point.COMMITTED)
    with closing(connect(system.valkey.url, timeout=PATIENCE_SECONDS)) as client, client.monitor() as heard:
        # Then its lease ends, and the idle one looks around unasked, so soon that together it is less than that
        left = client.pttl(keys.lease(0)) / 1000
        idle.wake()
        asked = next(command for said in heard.listen() if (command := said["command"]).startswith("BLPOP"))
        assert left + float(asked.split()[-1]) < 5
    # And does them
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript])


def test_a_worker_that_is_told_to_end_finishes_what_it_has_in_hand(system: System) -> None:
    # Given a worker that is busy, and more work
    worker = system.start_ready_worker()
    worker.order(Point.APPLIED, Deed.FREEZE)
    (room,) = feeders(system, 1)
    with system.asleep():
        room.talk()
    worker.wait_at(Point.APPLIED)
    keep_leases(system, 1)
    room.talk()
    # When it is told to end
    worker.terminate()
    worker.wake()
    # Then it ends in order, and leaves nothing claimed behind
    assert worker.wait() == 0
    with closing(connect(system.valkey.url)) as client:
        left = left_in_queue(client, system.lanes)
    assert left.keys() == {"messages:0", "job hashes"}
    # And the next one goes on from there
    system.start_ready_worker()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript])


def test_a_writer_that_hangs_on_sqlite_holds_everybody_up_until_it_is_killed(sqlite_system: System) -> None:
    system = sqlite_system
    # Given a worker that hangs in a transaction
    worker = system.start_ready_worker()
    worker.order(Point.APPLIED, Deed.FREEZE)
    first, second = feeders(system, 2)
    with system.asleep():
        first.talk()
    worker.wait_at(Point.APPLIED)
    # When another waits for the database, and the first is killed
    other = system.start_ready_worker()
    second.talk()
    other.wait_to_log("outage")
    worker.kill()
    # Then everything goes on
    wait_until_quiet(system)
    check_database(system.engine, [first.transcript, second.transcript])
