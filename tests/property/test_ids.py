"""Ids: well-formed, reproducible, and pointing to one lane only."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

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
from chatq.queue.codec import computed_about
from tests.property.test_wire import client_ids

lane_counts = st.integers(1, 4096)


@given(client_ids, client_ids, client_ids, lane_counts)
def test_computed_ids(conversation: str, sender: str, client_id: str, lanes: int) -> None:
    id_ = computed_id(conversation, sender, client_id)
    assert id_ == computed_id(conversation, sender, client_id)
    assert is_uuid(id_)
    assert uuid.UUID(id_).version == 8
    assert uuid.UUID(id_).variant == uuid.RFC_4122
    assert lane_of_id(id_, lanes) == lane_of(conversation, lanes) == conversation_bits(conversation) % lanes


@given(client_ids, st.integers(0, 2**48 - 1), lane_counts)
def test_fresh_ids(conversation: str, now_ms: int, lanes: int) -> None:
    id_ = new_id(conversation, now_ms)
    assert is_uuid(id_)
    assert uuid.UUID(id_).version == 7
    assert uuid.UUID(id_).variant == uuid.RFC_4122
    assert uuid.UUID(id_).int >> 80 == now_ms
    assert lane_of_id(id_, lanes) == lane_of(conversation, lanes)
    assert lane_of_id(new_id_about(id_), lanes) == lane_of(conversation, lanes)


@given(st.tuples(client_ids, client_ids, client_ids), st.tuples(client_ids, client_ids, client_ids))
def test_other_inputs_give_another_id(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (computed_id(*one) == computed_id(*other)) == (one == other)


@given(client_ids, st.sampled_from(["editMessage", "deleteMessage"]), client_ids, lane_counts)
def test_the_id_of_a_repeatable_job_lies_in_its_messages_lane(
    conversation: str, name: str, client_id: str, lanes: int
) -> None:
    message = new_id(conversation)
    id_ = computed_about(message, name, client_id)
    assert id_ == computed_about(message, name, client_id)
    assert is_uuid(id_)
    assert lane_of_id(id_, lanes) == lane_of_id(message, lanes)
    assert id_ != message


@given(st.text())
def test_only_the_listed_characters_make_a_client_id(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+~-")
    assert is_client_id(text) == (0 < len(text) <= 128 and set(text) <= allowed)
