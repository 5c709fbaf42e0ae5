"""Workers that die or sleep while they move the jobs of plain RQ clients to their lanes."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing

import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import select

from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.store.engine import reading
from chatq.store.tables import messages
from tests.faults.points import Deed, Point
from tests.faults.reconcile import wait_until_quiet
from tests.faults.system import System

ROOMS, EACH = ("red", "green", "blue"), 20


def enqueue(system: System, first: int) -> None:
    """Enqueue messages with numbers from ``first`` on, as any RQ client would."""
    with closing(connect(system.valkey.url)) as client:
        queue = Queue(keys.MESSAGES, connection=client, serializer=JSONSerializer)
        for number in range(first, first + EACH):
            for room in ROOMS:
                data = {"senderId": "alice", "content": str(number)}
                queue.enqueue("chatq.jobs.send_message", kwargs={"conversationId": room, "messageData": data})


@pytest.mark.parametrize("deed", Deed)
def test_jobs_are_moved_once_and_in_order(system: System, deed: Deed) -> None:
    # Given a worker that stops while it moves jobs
    worker, other = system.start_ready_worker(), system.start_ready_worker()
    other.freeze()
    worker.order(Point.ROUTING, deed, passes=EACH)
    enqueue(system, 0)
    worker.wait_at(Point.ROUTING)
    enqueue(system, EACH)
    # When another one goes on
    other.wake()
    wait_until_quiet(system)
    if deed is Deed.FREEZE:
        # And the first one wakes while new jobs wait
        other.freeze()
        enqueue(system, 2 * EACH)
        worker.wake()
        wait_until_quiet(system)
        other.wake()
    else:
        enqueue(system, 2 * EACH)
    wait_until_quiet(system)
    # Then each is there once, in order
    with reading(system.engine) as connection:
        rows = connection.execute(select(messages).order_by(messages.c.seq)).all()
    found = defaultdict(list)
    for row in rows:
        found[row.conversation_id].append(int(row.content))
    assert found == {room: list(range(3 * EACH)) for room in ROOMS}
