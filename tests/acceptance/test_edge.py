"""The edge under many callers at once: each learns of its own jobs, whatever pipeline they shared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Barrier, Thread

import pytest

from chatq.domain.jobs import MessageJob, read_message_job
from chatq.domain.rate import Rate, Usage
from chatq.errors import ChatqError, IdempotencyMismatch, Overloaded, RateLimited, RedisUnavailable
from chatq.queue import keys
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.connection import as_text, connect
from chatq.queue.edge import Accepted, Edge
from chatq.queue.jobs import ChatqJob
from chatq.queue.lanes import Lanes
from chatq.queue.pressure import Pressure
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS

LANES = 8


def edge_of(valkey: Valkey, max_depth: int = 1_000_000, rate: Rate | None = None) -> Edge:
    return Edge(connect(valkey.url), "memory", Pressure(LANES, max_depth), rate)


def job(conversation: str, content: str, *, user: str = "ann", **data: str) -> QueuedJob:
    fields = {"conversationId": conversation, "senderId": "ann", "content": content, **data}
    read: MessageJob = read_message_job("sendMessage", fields)
    return prepare(read, LANES, user=user)


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
        thread.join(PATIENCE_SECONDS)
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


def test_a_job_waits_since_it_was_queued_not_since_it_was_made(valkey: Valkey) -> None:
    client = connect(valkey.url)
    made, next_job = job("general", "hello"), (job("general", str(number)) for number in count())
    edge_of(valkey).submit(made)
    name, key, long_ago = keys.lane_name(made.lane), keys.job(made.job_id), "2026-01-02T03:04:05.678Z"
    # Given a job that failed long ago and is requeued
    client.lrem(keys.queue(name), 1, made.job_id)
    client.hset(key, mapping={"status": "failed", "created_at": long_ago, "enqueued_at": long_ago})
    client.zadd(keys.failed(name), {made.job_id: 0})
    ChatqJob.fetch(made.job_id, client).requeue()
    # Then work is accepted
    edge_of(valkey).submit(next(next_job))
    # Given one that was made long ago and was delayed until now
    client.lrem(keys.queue(name), 1, made.job_id)
    client.hset(key, mapping={"status": "scheduled", "enqueued_at": ""})
    client.delete(keys.queue(name))
    client.zadd(f"{keys.RQ}:scheduled:{name}", {made.job_id: 0})
    assert Lanes(client, LANES, "worker").take(0) is not None
    assert client.lindex(keys.queue(name), 0) == made.job_id.encode()
    # Then work is accepted
    edge_of(valkey).submit(next(next_job))
    # But given one that waits for long, it is not
    client.hset(key, "enqueued_at", long_ago)
    with pytest.raises(Overloaded, match="oldest job"):
        edge_of(valkey).submit(next(next_job))


# --- limits --------------------------------------------------------------------------------------

FEW = Rate(5, 3600)


def refused(outcomes: list[Accepted | ChatqError]) -> list[bool]:
    return [isinstance(outcome, RateLimited) for outcome in outcomes]


def test_a_user_may_send_so_many_whatever_the_edge_and_the_conversation(valkey: Valkey) -> None:
    one, other = edge_of(valkey, rate=FEW), edge_of(valkey, rate=FEW)

    outcomes = one.submit_many([job(f"c{i}", "hello") for i in range(3)])
    outcomes += other.submit_many([job(f"c{i}", "hello") for i in range(3)])

    assert refused(outcomes) == [False] * 5 + [True]
    assert [o.usage.remaining for o in outcomes if isinstance(o, Accepted) and o.usage] == [4, 3, 2, 1, 0]
    refusal = outcomes[5]
    assert isinstance(refusal, RateLimited)
    assert 0 < refusal.retry_after <= 720
    assert "At most 5 messages every 3600 seconds" in refusal.detail
    # And what was refused is nowhere
    assert sum(valkey.client().llen(keys.queue(keys.lane_name(lane))) for lane in range(LANES)) == 5
    # And others may still send, and so may jobs that nobody pays for
    assert refused(one.submit_many([job("c", "hi", user="bob"), job("c", "hi", user="")])) == [False, False]


def test_a_repeat_is_free_and_what_was_refused_is_not_remembered(valkey: Valkey) -> None:
    edge = edge_of(valkey, rate=FEW)
    mine = [job("c", f"{i}", clientMessageId=f"{i}") for i in range(6)]

    outcomes = edge.submit_many(mine)
    again = edge.submit_many(mine)
    other_content = edge.submit_many([job("c", "else", clientMessageId="0")])

    assert refused(outcomes) == refused(again) == [False] * 5 + [True]
    assert [o.repeat for o in again if isinstance(o, Accepted)] == [True] * 5
    assert isinstance(other_content[0], IdempotencyMismatch)
    # And once it may be sent, it is no repeat, whatever it says now
    valkey.client().delete(f"{keys.SENT}ann")
    assert not edge.submit(job("c", "else", clientMessageId="5")).repeat


def test_a_message_that_failed_is_paid_for_when_it_is_sent_again(valkey: Valkey) -> None:
    edge = edge_of(valkey, rate=FEW)
    mine = [job("c", f"{i}", clientMessageId=f"{i}") for i in range(5)]
    edge.submit_many(mine)
    for one in mine:
        valkey.client().hset(keys.job(one.job_id), "status", "failed")

    assert refused(edge.submit_many(mine)) == [True] * 5

    # And its job rests as it was, until it may
    assert valkey.client().hget(keys.job(mine[0].job_id), "status") == "failed"
    valkey.client().delete(f"{keys.SENT}ann")
    assert not edge.submit(mine[0]).repeat
    assert valkey.client().hget(keys.job(mine[0].job_id), "status") == "queued"


def test_an_allowance_is_in_redis_as_long_as_it_is_not_whole(valkey: Valkey) -> None:
    edge = edge_of(valkey, rate=FEW)
    edge.submit(job("c", "hello"))
    assert 0 < valkey.client().pttl(f"{keys.SENT}ann") <= 720_000

    valkey.client().flushall()

    assert edge.submit(job("c", "hello")).usage == Usage(FEW, FEW.share)


def test_without_a_limit_nothing_is_counted(valkey: Valkey) -> None:
    edge = edge_of(valkey)
    outcomes = edge.submit_many([job("c", f"{i}") for i in range(600)])
    assert {o.usage for o in outcomes if isinstance(o, Accepted)} == {None}
    assert not valkey.client().keys(f"{keys.SENT}*")


def test_a_time_that_somebody_wrote_by_hand_keeps_no_message_out(valkey: Valkey) -> None:
    # Given a job that waits, and nobody can tell since when
    first = edge_of(valkey).submit(job("general", "first"))
    connect(valkey.url).hset(keys.job(first.job_id), "created_at", b"\xff")
    # Then others are accepted behind it
    edge = edge_of(valkey)
    for content in ("second", "third"):
        assert not edge.submit(job("general", content)).repeat


def test_a_count_that_somebody_wrote_by_hand_keeps_no_message_out(valkey: Valkey) -> None:
    # Given a count of the jobs that ended that is none
    connect(valkey.url).set(keys.ENDED, "no number")
    # Then messages are accepted
    assert not edge_of(valkey).submit(job("general", "first")).repeat
