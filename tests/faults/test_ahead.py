"""Jobs that were claimed ahead, while those before them wait for a message that is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import select, text

from chatq.cli.compose import Services
from chatq.domain.jobs import EditMessage
from chatq.queue import keys
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.connection import connect
from chatq.queue.lanes import Lanes
from chatq.queue.retry import MAX_ATTEMPTS
from chatq.store import schema
from chatq.store.engine import reading, writing
from chatq.store.tables import events
from chatq.worker.messages import MessageWorker
from chatq.worker.registration import Registration
from chatq.worker.run import DOORBELL_SECONDS
from chatq.worker.signals import StopSignal
from tests.faults.test_retries import object_to_some
from tests.parts.lane import message, put, services
from tests.parts.valkey import Valkey


@pytest.fixture
def ready(valkey: Valkey, database_url: str) -> Iterator[Services]:
    """A process's services; there is one lane, and nothing works yet."""
    ready = services(valkey.url, 1, database_url)
    schema.upgrade(ready.engine)
    yield ready
    ready.engine.dispose()


@pytest.mark.parametrize("batch", [2, 10])
def test_edits_around_a_message_that_is_tried_again_keep_their_order(
    valkey: Valkey, ready: Services, batch: int
) -> None:
    # Given a message that the database objected to, and that waits for its next attempt
    late = message("late", client_id="doomed")
    ready.edge().submit(late)
    fail(ready)
    # And an edit of it, accepted before that attempt is due, and another one after it
    first, second = (prepare(EditMessage(message_id=late.message_id, content=content), 1) for content in ("1", "2"))
    ready.edge().submit(first)
    with closing(connect(valkey.url)) as client:
        client.zadd(f"{keys.RQ}:scheduled:{keys.lane_name(0)}", {late.job_id: 0})
    other = Lanes(connect(valkey.url), 1, "other")
    taken = other.take(1)
    assert taken is not None
    other.give_back(taken)
    ready.edge().submit(second)
    put(valkey.url, ["another", "and another"])
    # When a worker has the message and the first edit in hand, and the second too, or may claim it ahead
    work(ready, batch)
    # Then both are done in the order in which they were accepted
    assert done_about(ready, late) == [late.job_id, first.job_id, second.job_id]


@pytest.mark.parametrize("batch", [2, 10])
def test_edits_around_a_failed_message_that_is_sent_again_keep_their_order(
    valkey: Valkey, ready: Services, batch: int
) -> None:
    # Given a message that failed for good
    late = message("late", client_id="doomed")
    edge = ready.edge()
    edge.submit(late)
    ready.redis.hset(keys.job(late.job_id), "number_of_retries", str(MAX_ATTEMPTS - 1))
    fail(ready)
    # When it is edited, sent again, and edited once more
    first, second = (prepare(EditMessage(message_id=late.message_id, content=content), 1) for content in ("1", "2"))
    for job in (first, late, second):
        assert not edge.submit(job).repeat
    put(valkey.url, ["another", "and another"])
    work(ready, batch)
    # Then both are done in the order in which they were accepted
    assert done_about(ready, late) == [late.job_id, first.job_id, second.job_id]


def fail(ready: Services) -> None:
    """Work while the database objects to messages that are doomed; afterwards it does not any more."""
    object_to_some(ready.engine)
    work(ready, batch=2)
    with writing(ready.engine) as connection:
        on = " ON messages" if ready.engine.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER fickle{on}"))


def done_about(ready: Services, about: QueuedJob) -> list[str]:
    """Return the jobs that had an effect on a message, in the order of their numbers."""
    with reading(ready.engine) as connection:
        query = select(events.c.job_id).where(events.c.message_id == about.message_id).order_by(events.c.seq)
        return list(connection.execute(query).scalars())


def work(ready: Services, batch: int) -> None:
    """Work in this process until nothing is ready, so many jobs at a time."""
    with (
        closing(connect(ready.redis_url)) as client,
        closing(connect(ready.redis_url, timeout=DOORBELL_SECONDS)) as bell,
    ):
        lanes, registration = Lanes(client, 1, "worker"), Registration(client, "worker", 1, lambda: None)
        MessageWorker(client, bell, ready.engine, lanes, registration, batch=batch).run(StopSignal(), burst=True)
