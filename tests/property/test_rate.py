"""Allowances: what any sequence of uses is allowed, by Python and by Redis alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from chatq.domain.rate import MICROSECONDS, Bucket, Rate, Usage
from chatq.queue.scripts import source
from tests.parts.valkey import Valkey

rates = st.builds(Rate, st.integers(1, 50), st.sampled_from([1, 60, 3600]))
pauses = st.lists(st.integers(0, 100_000_000), min_size=1, max_size=60)
START = 1_800_000_000 * MICROSECONDS

SCRIPT = (
    source("allowance")
    + """
local now, share, whole = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after = used_up(KEYS[1], now, whole) + share
if after > whole then
  return 0
end
use_up(KEYS[1], now, after)
return 1
"""
)
names = count()


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    path = Path(mkdtemp(prefix="chatq-"))
    valkey = Valkey(path, appendonly="no").start()
    yield valkey.client()
    valkey.kill()
    rmtree(path)


def times(pauses: list[int]) -> list[int]:
    now = START
    return [now := now + pause for pause in pauses]


@given(rates, pauses)
def test_never_more_at_once_than_the_count_nor_more_in_the_long_run_than_the_rate(
    rate: Rate, pauses: list[int]
) -> None:
    bucket = Bucket(rate)

    allowed = [now for now in times(pauses) if bucket.take(now)]

    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            passed = allowed[last] - allowed[first]
            assert last - first + 1 <= rate.count + passed // rate.share


@given(rates, pauses)
def test_who_keeps_to_the_rate_is_never_refused(rate: Rate, pauses: list[int]) -> None:
    bucket = Bucket(rate)
    assert all(bucket.take(now) for now in times([rate.share + pause for pause in pauses]))


@given(rates, pauses)
def test_a_refusal_says_how_long_to_wait(rate: Rate, pauses: list[int]) -> None:
    bucket = Bucket(rate)
    for now in times(pauses):
        usage = Usage(rate, bucket.used(now))
        assert bucket.take(now) is (usage.wait_seconds == 0) is (usage.remaining > 0)
        if usage.wait_seconds:
            later = now + usage.wait_seconds * MICROSECONDS
            assert Usage(rate, bucket.used(later)).remaining > 0
            assert Usage(rate, bucket.used(later - MICROSECONDS)).remaining == 0
    assert bucket.used(now + Usage(rate, bucket.used(now)).whole_seconds * MICROSECONDS) == 0


# A key's life in Redis is real time: shares of a minute or more outlast an example.
@given(st.builds(Rate, st.integers(1, 10), st.just(3600)), st.lists(st.integers(0, 2_000_000_000), max_size=40))
def test_redis_decides_as_python_does(server: redis.Redis, rate: Rate, pauses: list[int]) -> None:
    bucket, key = Bucket(rate), f"example:{next(names)}"
    for now in times(pauses):
        assert server.eval(SCRIPT, 1, key, now, rate.share, rate.whole) == bucket.take(now)


@given(rates, st.integers(1, 20), rates)
def test_a_rate_that_follows_from_another_is_never_below_either(rate: Rate, factor: int, floor: Rate) -> None:
    followed = rate.times(factor, at_least=floor)

    assert followed.count >= max(rate.count * factor, floor.count)
    for other, times_more in ((rate, factor), (floor, 1)):
        assert followed.share <= other.share / times_more + 1


def test_a_clock_that_is_set_back_makes_nobody_wait_for_what_was_the_future(server: redis.Redis) -> None:
    rate = Rate(2, 3600)

    outcomes = [server.eval(SCRIPT, 1, "back", now, rate.share, rate.whole) for now in (START, START, START)]
    a_day_before = START - 24 * 3600 * MICROSECONDS
    outcomes += [server.eval(SCRIPT, 1, "back", a_day_before, rate.share, rate.whole) for _ in range(3)]

    assert outcomes == [1, 1, 0, 1, 1, 0]


def test_numbers_keep_their_last_digits(server: redis.Redis) -> None:
    rate = Rate(5, 3600)
    for now in (START + 1, START + 2, START + 3):
        server.eval(SCRIPT, 1, "digits", now, rate.share, rate.whole)
    assert server.get("digits") == str(START + 1 + 3 * rate.share)
