"""The edge under many callers at once: each learns of its own jobs, whatever pipeline they shared."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

from chatq.domain.jobs import MessageJob, read_message_job
from chatq.errors import ChatqError, IdempotencyMismatch, Overloaded, RedisUnavailable
from chatq.queue import keys
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.connection import as_text, connect
from chatq.queue.edge import Accepted, Edge
from chatq.queue.pressure import Pressure
from tests.parts.valkey import Valkey

LANES = 8


def edge_of(valkey: Valkey, max_depth: int = 1_000_000) -> Edge:
    return Edge(connect(valkey.url), "memory", Pressure(LANES, max_depth))


def job(conversation: str, content: str, **data: str) -> QueuedJob:
    fields = {"conversationId": conversation, "senderId": "ann", "content": content, **data}
    read: MessageJob = read_message_job("sendMessage", fields)
    return prepare(read, LANES)


def at_once(callers: int, call: Callable[[int], None]) -> None:
    """Call from so many threads, which all begin together, and wait until all are done."""
    start = Barrier(callers)

    def run(number: int) -> None:
        start.wait()
        call(number)

    threads = [Thread(target=run, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_each_caller_gets_its_own_outcomes_in_order(valkey: Valkey) -> None:
    edge = edge_of(valkey)
    jobs = {number: [job(f"c{number}", f"{i}") for i in range(40)] for number in range(32)}
    outcomes: dict[int, list[Accepted | ChatqError]] = {}

    def call(number: int) -> None:
        mine = jobs[number]
        outcomes[number] = [edge.submit(mine[0]), *edge.submit_many(mine[1:20]), *map(edge.submit, mine[20:])]

    at_once(32, call)

    for number, mine in jobs.items():
        assert outcomes[number] == [Accepted(one.message_id, one.job_id, False) for one in mine]
    # And each conversation's jobs lie in its lane in the order in which its caller submitted them
    for mine in jobs.values():
        lane = [as_text(raw) for raw in valkey.client().lrange(keys.queue(keys.lane_name(mine[0].lane)), 0, -1)]
        ids = {one.job_id for one in mine}
        assert [job_id for job_id in lane if job_id in ids] == [one.job_id for one in mine]


def test_one_callers_mismatch_is_no_others(valkey: Valkey) -> None:
    edge = edge_of(valkey)
    edge.submit(job("c", "this", clientMessageId="1"))
    outcomes: list[object] = [None] * 20

    def call(number: int) -> None:
        try:
            outcomes[number] = edge.submit(job("c", "this" if number % 2 else "that", clientMessageId="1")).repeat
        except IdempotencyMismatch as error:
            outcomes[number] = type(error)

    at_once(20, call)

    assert outcomes == [True if number % 2 else IdempotencyMismatch for number in range(20)]
    assert sum(valkey.client().llen(keys.queue(keys.lane_name(lane))) for lane in range(LANES)) == 1


def test_all_learn_that_redis_is_away_and_that_it_is_back(valkey: Valkey) -> None:
    edge = edge_of(valkey)
    edge.submit(job("c", "before"))
    valkey.kill()
    refused: list[str] = []

    def call(number: int) -> None:
        try:
            edge.submit(job("c", f"{number}"))
        except RedisUnavailable as error:
            refused.append(error.code)

    at_once(16, call)

    assert refused == ["queue-unavailable"] * 16
    valkey.start()
    assert not edge.submit(job("c", "after")).repeat


def test_work_is_refused_at_the_depth_and_taken_again_below_it(valkey: Valkey) -> None:
    edge = edge_of(valkey, max_depth=100)
    for number in range(100):
        edge.submit(job("c", f"{number}"))

    refusal: Overloaded | None = None
    try:
        edge.submit(job("c", "too much"))
    except Overloaded as error:
        refusal = error

    assert refusal is not None
    assert refusal.status == 503
    assert 1 <= refusal.retry_after <= 60
    assert "CHATQ_MAX_QUEUE_DEPTH" in refusal.detail
    lane = keys.queue(keys.lane_name(job("c", "x").lane))
    assert valkey.client().llen(lane) == 100
    valkey.client().ltrim(lane, 50, -1)
    assert not edge.submit(job("c", "room again")).repeat
