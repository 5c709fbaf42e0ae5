"""Who has read what, who is there and who types."""

from __future__ import annotations

import pytest

from tests.clients.conftest import EVERY_KIND, Open
from tests.clients.driven import Driven
from tests.parts.roles import Roles, fresh
from tests.parts.wire import Wire


def marks(client: Driven, conversation: str) -> list[tuple[str, str]]:
    events = client.numbered(conversation)
    return [(event["userId"], event["status"]) for event in events if event["type"] == "messageStatus"]


@EVERY_KIND
def test_others_learn_who_is_there_types_and_reads(open_client: Open, roles: Roles) -> None:
    conversation = fresh()
    bob = open_client(userId="bob")
    bob.do("join", conversationId=conversation, since=0)
    alice = open_client()
    alice.do("join", conversationId=conversation, since=0)
    bob.wait(lambda: any(e["type"] == "presence" and e["userId"] == "alice" and e["online"] for e in bob.events))

    for _ in range(5):
        alice.do("typing", conversationId=conversation, active=True)
    bob.wait(lambda: bob.count("typing") == 1)
    alice.do("typing", conversationId=conversation, active=False)
    bob.wait(lambda: [e["active"] for e in bob.events if e["type"] == "typing"] == [True, False])

    message = bob.do("send", conversationId=conversation, content="read this")["messageId"]
    alice.wait(lambda: alice.contents(conversation) == ["read this"])
    alice.do("status", messageId=message, status="read")
    bob.wait(lambda: marks(bob, conversation) == [("alice", "read")])
    assert bob.seqs(conversation) == [1, 2]


@pytest.mark.parametrize("how", ["cut", "end"])
def test_status_outlives_its_connection(open_client: Open, roles: Roles, wire: Wire, how: str) -> None:
    conversation = fresh()
    message = roles.store(conversation, "read this", senderId="bob")
    alice = open_client(wire.url)
    alice.do("join", conversationId=conversation, since=0)
    # Given that what alice says is not heard, and then that nobody is there to hear it
    wire.go_silent()
    alice.do("status", messageId=message["id"], status="read")
    wire.cut() if how == "cut" else wire.end(4503)
    alice.wait(lambda: marks(alice, conversation) == [("alice", "read")])


def test_status_of_nothing_is_told(open_client: Open) -> None:
    alice = open_client()
    alice.do("status", messageId="00000000-0000-8000-8000-000000000000", status="read")
    assert alice.expect("error")["code"] == "unknown-message"
