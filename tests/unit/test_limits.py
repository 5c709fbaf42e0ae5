"""What users may do over sockets, by a clock that the test turns and a real Redis between the processes."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from chatq.access.limits import MAX_OPEN, SWEEP_SECONDS, Limits, rates
from chatq.domain.rate import Rate
from chatq.errors import RateLimited
from chatq.queue.connection import connect
from chatq.realtime.meter import MAX_REFUSED_TOKENS, MAX_UNKNOWN_FRAMES, Meter, TooFast
from tests.parts.valkey import Valkey

FEW = Rate(1, 3600)
FRAMES, JOINS, CONNECTIONS = 2000, 1000, 60
"""What may be done at once however few messages may be sent."""


class Clock:
    """A clock that somebody else turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(valkey: Valkey, clock: Clock) -> Iterator[Limits]:
    limits = Limits(FEW, connect(valkey.url), clock)
    yield limits
    if limits._teller is not None:
        gevent.kill(limits._teller)


def joins(limits: Limits, user: str = "ann") -> int:
    """Join until it is refused, and return how often it was not."""
    for joined in range(JOINS * 2):
        try:
            limits.check_join(user)
        except RateLimited:
            return joined
    raise AssertionError("no end of it")


def test_the_limits_follow_from_that_of_messages_and_are_never_below_what_any_client_needs() -> None:
    assert {kind: rate.count for kind, rate in rates(FEW).items()} == {
        "frames": FRAMES,
        "joins": JOINS,
        "connections": CONNECTIONS,
    }
    many = rates(Rate(5000, 1))
    assert {kind: (rate.count, rate.seconds) for kind, rate in many.items()} == {
        "frames": (50_000, 1.0),
        "joins": (5000, 1.0),
        "connections": (5000, 1.0),
    }


def test_a_refusal_passes(limits: Limits, clock: Clock) -> None:
    assert joins(limits) == JOINS
    with pytest.raises(RateLimited) as caught:
        limits.check_join("ann")
    limits.check_join("bob")

    clock.now += caught.value.retry_after

    limits.check_join("ann")


def test_frames_count_together(limits: Limits, clock: Clock) -> None:
    assert limits.take_frames("ann", FRAMES - 1)
    assert not limits.take_frames("ann", 2)
    assert limits.take_frames("ann", 1)
    clock.now += 1
    assert limits.take_frames("ann", 20)
    assert not limits.take_frames("ann", 1)


def test_processes_learn_from_each_other_what_was_done(limits: Limits, valkey: Valkey, clock: Clock) -> None:
    other = Limits(FEW, connect(valkey.url), clock)
    assert joins(limits) == JOINS
    # So many that it does not matter how much time passes in Redis
    for _ in range(JOINS // 2):
        other.check_join("ann")

    limits.synchronize()
    other.synchronize()

    with pytest.raises(RateLimited):
        other.check_join("ann")
    other.check_join("bob")


def test_what_was_told_is_counted_once(limits: Limits, valkey: Valkey) -> None:
    limits.check_join("ann")
    limits.synchronize()
    assert joins(limits) == JOINS - 1


def test_each_process_counts_for_itself_while_redis_is_away(limits: Limits, valkey: Valkey) -> None:
    valkey.kill()
    assert joins(limits) == JOINS
    limits.synchronize()
    assert joins(limits) == 0

    valkey.start()
    limits.check_join("bob")
    limits.synchronize()

    assert valkey.client().keys("chatq:joins:*") == ["chatq:joins:bob"]


def test_limits_begin_anew_when_redis_is_emptied(limits: Limits, valkey: Valkey) -> None:
    for _ in range(JOINS // 2):
        limits.check_join("ann")
    limits.synchronize()
    valkey.client().flushall()
    limits.check_join("ann")
    limits.synchronize()

    assert joins(limits) == JOINS - 1


def test_who_does_nothing_any_more_is_forgotten_here_and_there(limits: Limits, valkey: Valkey, clock: Clock) -> None:
    limits.check_join("ann")
    limits.take_frames("bob", FRAMES)
    limits.synchronize()
    assert 0 < valkey.client().pttl("chatq:frames:bob") <= 100_000

    clock.now += SWEEP_SECONDS + 1
    limits.sweep()

    assert [key.user_id for key in limits._buckets] == ["bob"]


def test_a_user_opens_so_many_sockets_in_a_while_and_has_so_many_open(limits: Limits, clock: Clock) -> None:
    assert all(limits.enter("ann") for _ in range(CONNECTIONS))
    assert not limits.enter("ann")
    limits.exit("ann")

    clock.now += 3600
    opened = 0
    while limits.enter("ann"):
        opened += 1
        clock.now += 1

    assert CONNECTIONS + opened == MAX_OPEN
    for _ in range(MAX_OPEN + 1):
        limits.exit("ann")
    assert not limits._open
    clock.now += 1
    assert limits.enter("ann")


def test_refused_tokens_in_a_row_end_a_socket() -> None:
    meter = Meter(None, None)
    for _ in range(3):
        for _ in range(MAX_REFUSED_TOKENS - 1):
            meter.count_token(good=False)
        meter.count_token(good=True)
    for _ in range(MAX_REFUSED_TOKENS - 1):
        meter.count_token(good=False)

    with pytest.raises(TooFast, match="tokens"):
        meter.count_token(good=False)


def test_what_nobody_says_ends_as_well(limits: Limits) -> None:
    for meter in (Meter(None, None), Meter(limits, None)):
        meter.count(MAX_UNKNOWN_FRAMES)
        with pytest.raises(TooFast, match="before"):
            meter.count(1)


def test_a_service_and_whoever_has_no_limit_says_what_it_likes(limits: Limits) -> None:
    service, free = Meter(limits, None), Meter(None, "dev")
    service.become("backend", limited=False)
    for meter in (service, free):
        meter.count(FRAMES * 10)
        for _ in range(JOINS * 2):
            meter.count_join()
    service.leave("backend")
    assert not limits._open
    assert not limits._buckets
