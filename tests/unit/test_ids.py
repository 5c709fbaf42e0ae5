"""Ids: computed ones, fresh ones, and the lane that each tells."""

from __future__ import annotations

import uuid

import pytest

from chatq.domain.ids import (
    computed_id,
    conversation_bits,
    is_client_id,
    is_uuid,
    lane_of,
    lane_of_id,
    new_id,
    new_id_about,
)


def test_a_computed_id_is_the_same_for_ever() -> None:
    # Pinned: another value would make every stored message a stranger to its own client id.
    assert computed_id("general", "alice", "1") == computed_id("general", "alice", "1")
    assert computed_id("general", "alice", "1") == "973043d4-5e92-80fe-a568-b5b395b74e68"


def test_a_computed_id_is_a_uuid_of_version_8() -> None:
    value = uuid.UUID(computed_id("general", "alice", "1"))
    assert value.version == 8
    assert value.variant == uuid.RFC_4122
    assert str(value) == computed_id("general", "alice", "1")


def test_each_part_of_a_computed_id_counts() -> None:
    parts = [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("z", "b", "c"), ("ab", "", "c"), ("", "ab", "c")]
    assert len({computed_id(*each) for each in parts}) == len(parts)


def test_a_fresh_id_is_a_uuid_of_version_7_with_its_time() -> None:
    value = uuid.UUID(new_id("general", now_ms=1_700_000_000_123))
    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert value.int >> 80 == 1_700_000_000_123


def test_fresh_ids_are_never_the_same() -> None:
    assert len({new_id("general", now_ms=0) for _ in range(1000)}) == 1000


def test_fresh_ids_sort_by_time() -> None:
    assert new_id("general", now_ms=1) < new_id("general", now_ms=2)


@pytest.mark.parametrize("lanes", [1, 2, 8, 7, 4096])
def test_every_id_of_a_conversation_tells_its_lane(lanes: int) -> None:
    for conversation in ("general", "random", "a" * 128):
        lane = lane_of(conversation, lanes)
        message = new_id(conversation)
        assert 0 <= lane < lanes
        assert lane_of_id(message, lanes) == lane
        assert lane_of_id(computed_id(conversation, "alice", "1"), lanes) == lane
        assert lane_of_id(new_id_about(message), lanes) == lane


def test_conversations_spread_over_the_lanes() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[lane_of(f"conversation-{number}", 8)] += 1
    assert min(counts) > 800
    assert all(0 <= conversation_bits(f"c{number}") < 4096 for number in range(1000))


@pytest.mark.parametrize("text", ["a", "A-Z.a_z:0@9+~", "x" * 128])
def test_ids_that_a_client_may_choose(text: str) -> None:
    assert is_client_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a/b", "a\n", "\n", "\u00e4", "a\0", "\u0661", "a\ud800"])
def test_ids_that_a_client_may_not_choose(text: str) -> None:
    assert not is_client_id(text)


def test_what_is_a_uuid() -> None:
    assert is_uuid("01a20baf-16b4-7d0f-ad8f-f976edb1b927")
    assert not is_uuid("01A20BAF-16B4-7D0F-AD8F-F976EDB1B927")
    assert not is_uuid("01a20baf-16b4-7d0f-ad8f-f976edb1b927\n")
