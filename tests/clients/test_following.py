"""Every event once, in order, and none missing, whatever is lost on the way."""

from __future__ import annotations

import pytest

from tests.clients.conftest import EVERY_KIND, Open
from tests.clients.driven import Refused
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import PATIENCE_SECONDS
from tests.parts.wire import Wire


@EVERY_KIND
def test_past_then_present(open_client: Open, roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 3)
    client = open_client()

    page = client.do("history", conversationId=conversation, limit=2)
    assert [message["content"] for message in page["messages"]] == ["message 2", "message 3"]
    assert (page["seq"], page["nextBefore"]) == (3, 2)
    assert client.do("join", conversationId=conversation, since=page["seq"]) == {"seq": 3, "recovered": True}
    roles.store_many(conversation, 2)
    client.wait(lambda: client.seqs(conversation) == [4, 5])
    assert client.do("join", conversationId=conversation, since=1) == {"seq": 5, "recovered": True}
    client.wait(lambda: client.seqs(conversation) == [4, 5, 2, 3, 4, 5])


def test_who_left_hears_no_more_until_joining_again(open_client: Open, roles: Roles) -> None:
    conversation, other = fresh(), fresh()
    client = open_client()
    client.do("join", conversationId=conversation, since=0)
    client.do("join", conversationId=other, since=0)
    client.do("leave", conversationId=conversation)
    roles.store_many(conversation, 1)
    roles.store_many(other, 1)
    client.wait(lambda: client.seqs(other) == [1])
    assert client.seqs(conversation) == []

    # The answers to what came before mean nothing for what comes after.
    for _ in range(5):
        client.start("join", conversationId=conversation, since=0).exception(PATIENCE_SECONDS)
        client.do("leave", conversationId=conversation)
    client.do("join", conversationId=conversation, since=0)
    roles.store_many(conversation, 1)
    client.wait(lambda: client.seqs(conversation)[-2:] == [1, 2])


@pytest.mark.parametrize("cut", [False, True], ids=["seen by the next event", "after a cut"])
def test_lost_event_is_fetched(open_client: Open, roles: Roles, wire: Wire, cut: bool) -> None:
    conversation = fresh()
    client = open_client(wire.url)
    client.do("join", conversationId=conversation, since=0)
    wire.lose(b'"seq":2,')
    roles.store_many(conversation, 3)
    if cut:
        wire.cut()
    client.wait(lambda: client.seqs(conversation) == [1, 2, 3])
    assert len(wire.lost) == 1


@EVERY_KIND
def test_last_event_that_is_lost_is_noticed_by_a_heartbeat(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    client = open_client(wire.url)
    client.do("join", conversationId=conversation)
    wire.lose(b'"seq":2,')
    roles.store_many(conversation, 2)
    client.wait(lambda: client.seqs(conversation) == [1, 2])
    assert len(wire.lost) == 1


def test_lost_answer_to_a_join_is_noticed_by_a_heartbeat(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    roles.store_many(conversation, 2)
    client = open_client(wire.url)
    wire.lose(b'"joined"')
    assert client.do("join", conversationId=conversation, since=0) == {"seq": 2, "recovered": True}
    client.wait(lambda: client.seqs(conversation) == [1, 2])


@EVERY_KIND
def test_silent_server_is_left(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    client = open_client(wire.url)
    client.do("join", conversationId=conversation)
    wire.go_silent()
    roles.store_many(conversation, 2)
    client.wait(lambda: client.seqs(conversation) == [1, 2])
    assert wire.connections >= 2


def test_position_that_the_server_does_not_know_is_reset(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    roles.store_many(conversation, 2)
    client = open_client(wire.url)

    assert client.do("join", conversationId=conversation, since=100) == {"seq": 2, "recovered": False}

    reset = client.expect("reset")
    assert (reset["conversationId"], reset["seq"]) == (conversation, 2)
    roles.store_many(conversation, 1)
    client.wait(lambda: client.seqs(conversation) == [3])


def test_join_that_is_refused_is_told(open_client: Open, roles: Roles) -> None:
    client = open_client()
    with pytest.raises(Refused, match="invalid-fields"):
        client.do("join", conversationId="not allowed")
    assert client.expect("error")["code"] == "invalid-fields"
    with pytest.raises(Refused, match="invalid-fields"):
        client.do("history", conversationId="c", limit=1000)
