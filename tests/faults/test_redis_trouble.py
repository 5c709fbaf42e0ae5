"""Redis dies, hangs, is emptied or lies at the worst moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIG_DFL, SIGCONT, SIGINT, SIGSTOP, SIGTERM, signal

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from chatq.errors import RedisUnavailable
from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.store.engine import create_engine
from chatq.worker.run import run_handlers, run_messages
from tests.faults.feeder import feeders
from tests.faults.points import Deed, Point
from tests.faults.reconcile import check_database, wait_until_quiet
from tests.faults.system import System
from tests.parts.client import Client
from tests.parts.waiting import until


def test_redis_dies_between_publish_and_finish(system: System) -> None:
    # Given a worker that has published, and finished nothing
    worker = system.start_ready_worker()
    worker.order(Point.PUBLISHED, Deed.FREEZE)
    (room,) = feeders(system, 1)
    with system.asleep():
        room.talk()
    worker.wait_at(Point.PUBLISHED)
    # When Redis dies, and comes back after the worker has noticed
    system.valkey.kill()
    worker.wake()
    worker.wait_to_log("outage")
    system.valkey.start()
    # Then the worker goes on
    wait_until_quiet(system)
    room.talk()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript])


def test_redis_hangs_longer_than_a_worker_waits_for_it(system: System) -> None:
    # Given a worker that has committed
    worker, other = system.start_ready_worker(), system.start_ready_worker()
    worker.order(Point.COMMITTED, Deed.FREEZE)
    (room,) = feeders(system, 1)
    other.freeze()
    worker.freeze()
    room.talk()
    worker.wake()
    worker.wait_at(Point.COMMITTED)
    room.talk()
    # When Redis hangs until the worker has given its finish up, and does then what it was asked to long ago
    system.valkey.send_signal(SIGSTOP)
    worker.wake()
    other.wake()
    worker.wait_to_log("outage")
    system.valkey.send_signal(SIGCONT)
    # Then all is done, once
    wait_until_quiet(system)
    room.talk()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript])


def test_redis_is_emptied_while_workers_are_in_the_middle(system: System) -> None:
    # Given workers at several points, each with a lane of its own, and more work behind
    points = [Point.CLAIMED, Point.TAKEN_OVER, Point.COMMITTED, Point.PUBLISHED, Point.FINISHED]
    if system.database.is_server:
        points += [Point.TAKING_OVER, Point.APPLIED]
    workers = {point: system.start_worker() for point in points}
    for point, worker in workers.items():
        worker.wait_until_ready()
        worker.order(point, Deed.FREEZE)
    rooms = feeders(system, len(points))
    with system.asleep():
        for room in rooms:
            room.talk()
    for point, worker in workers.items():
        worker.wait_at(point)
    for room in rooms:
        room.talk()
    # When Redis is emptied
    with closing(connect(system.valkey.url)) as client:
        client.flushall()
    # Then everything goes on unaided: what was lost can be sent again, and what was not is not done again
    for room in rooms:
        room.repeat()
    other = system.start_ready_worker()
    for worker in workers.values():
        worker.wake()
    wait_until_quiet(system)
    for room in rooms:
        room.repeat()
        room.talk()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript for room in rooms])
    assert other.alive
    assert all(worker.alive for worker in workers.values())


def test_an_event_whose_publication_is_lost_with_redis_reaches_everybody(system: System) -> None:
    # Given somebody who follows a conversation
    api = system.start_api()
    (room,) = feeders(system, 1)
    with Client(f"ws://127.0.0.1:{api.port}/ws") as client:
        client.expect("hello")
        client.join(room.conversation)
        # And an event that was committed, but never published, for Redis was emptied then
        worker = system.start_ready_worker()
        worker.order(Point.COMMITTED, Deed.KILL)
        room.send("lost with Redis")
        worker.wait_at(Point.COMMITTED)
        worker.wait()
        with closing(connect(system.valkey.url)) as redis:
            redis.flushall()
        # Then a heartbeat tells of it
        client.say("ping")
        assert client.expect("pong")["seqs"] == {room.conversation: 1}
        # And the next event brings it along
        system.start_worker()
        room.send("after that")
        frames = [client.expect("newMessage") for _ in range(2)]
    assert [(frame["seq"], frame["message"]["content"]) for frame in frames] == [
        (1, "lost with Redis"),
        (2, "after that"),
    ]
    check_database(system.engine, [room.transcript])


def test_an_event_that_is_published_while_an_api_is_cut_off_from_redis_reaches_everybody(system: System) -> None:
    # Given somebody who follows a conversation, and an event that is not published yet
    api, worker = system.start_api(), system.start_ready_worker()
    (room,) = feeders(system, 1)
    with Client(f"ws://127.0.0.1:{api.port}/ws") as client:
        client.expect("hello")
        client.join(room.conversation)
        worker.order(Point.COMMITTED, Deed.FREEZE)
        room.send("hello")
        worker.wait_at(Point.COMMITTED)
        # When it is published before the API has found back to a Redis that died
        api.freeze()
        system.valkey.kill()
        system.valkey.start()
        worker.wake()
        wait_until_quiet(system)
        api.wake()
        # Then it comes all the same, and nobody has to ask for it
        assert client.expect("newMessage")["message"]["content"] == "hello"
    check_database(system.engine, [room.transcript])


def test_workers_empty_a_redis_whose_memory_is_full(sqlite_system: System) -> None:
    # Given a worker that died with jobs in hand, and a job of a plain RQ client
    system = sqlite_system
    worker = system.start_ready_worker()
    worker.order(Point.COMMITTED, Deed.KILL)
    (room,) = feeders(system, 1)
    message = room.send("hello")
    until(lambda: not worker.alive, what="a dead worker")
    room.talk()
    with closing(connect(system.valkey.url)) as redis:
        queue = Queue(keys.MESSAGES, connection=redis, serializer=JSONSerializer)
        job = queue.enqueue("chatq.jobs.delete_message", kwargs={"messageId": message})
        room.transcript.deleted(message, job.id)
        # When another one starts, and Redis has no memory for anything
        redis.config_set("maxmemory", 1)
    system.start_worker()
    # Then all of it is done
    wait_until_quiet(system, 20)
    check_database(system.engine, [room.transcript])


WRONG_EPOCHS = (None, b"999", b"0", b"no number")


def test_redis_tells_an_epoch_that_the_database_does_not_know(system: System) -> None:
    (room,) = feeders(system, 1)
    worker = system.start_ready_worker()
    with closing(connect(system.valkey.url)) as redis:
        for epoch in (999, 0, 1, "no number"):
            # Given a lane that has been done, and an epoch that is not its
            room.talk()
            wait_until_quiet(system)
            redis.set(keys.epoch(0), epoch)
            # Then its jobs are done all the same
            room.talk()
            wait_until_quiet(system)
            until(lambda: redis.get(keys.epoch(0)) not in WRONG_EPOCHS, what="the epoch that the database has")
    assert worker.alive
    check_database(system.engine, [room.transcript])


@pytest.mark.parametrize("kind", ["messages", "handlers"])
def test_redis_goes_away_just_before_a_worker_begins(short_path: Path, kind: str) -> None:
    # Given a Redis that was there when the process checked it, and is not any more
    url = f"unix://{short_path}/valkey.sock"
    engine = create_engine(f"sqlite:///{short_path}/chatq.sqlite3")
    begin: dict[str, Callable[[], None]] = {
        "messages": lambda: run_messages(url, engine, 8, lambda: None),
        "handlers": lambda: run_handlers(url),
    }
    # Then it is said in chatq's own words
    with restored_signals(), pytest.raises(RedisUnavailable, match="does not answer"):
        begin[kind]()


@contextmanager
def restored_signals() -> Iterator[None]:
    """Take back what a worker does to this process's signals."""
    before = {number: signal(number, SIG_DFL) for number in (SIGINT, SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)
