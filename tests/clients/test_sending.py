"""Every message once and in order, whatever is lost on the way, or told why not."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.clients.conftest import EVERY_KIND, Open
from tests.clients.driven import Driven, Refused
from tests.parts.forking import API
from tests.parts.ports import free_port
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import PATIENCE_SECONDS, until
from tests.parts.wire import Wire


def stored(roles: Roles, conversation: str, count: int) -> list[str]:
    """Return a conversation's contents once there are so many messages."""

    def read() -> list[str]:
        contents, after = [], 0
        while True:
            page = roles.page(conversation, after=after, limit=200)
            contents += [message["content"] for message in page["messages"]]
            if page["nextAfter"] is None:
                return contents
            after = page["nextAfter"]

    until(lambda: len(read()) >= count, what=f"{count} messages stored")
    return read()


@EVERY_KIND
def test_message_is_accepted_and_comes_back(open_client: Open, roles: Roles) -> None:
    conversation = fresh()
    client = open_client()
    client.do("join", conversationId=conversation, since=0)

    accepted = client.do("send", conversationId=conversation, content="hello", metadata={"mood": "good"})

    client.wait(lambda: client.contents(conversation) == ["hello"])
    message = client.numbered(conversation)[0]["message"]
    assert message["id"] == accepted["messageId"]
    assert message["clientMessageId"] == accepted["clientMessageId"]
    assert (message["senderId"], message["metadata"]) == ("alice", {"mood": "good"})


def test_message_that_is_refused_holds_up_no_other(open_client: Open, roles: Roles) -> None:
    conversation = fresh()
    client = open_client()
    refused = client.start("send", conversationId=conversation, content="x" * 20_000)
    client.do("send", conversationId=conversation, content="short")
    with pytest.raises(Refused, match="too-large"):
        refused.result(PATIENCE_SECONDS)
    assert stored(roles, conversation, 1) == ["short"]


def test_message_that_no_server_can_take_in_holds_up_no_other(open_client: Open, roles: Roles) -> None:
    conversation, other = fresh(), fresh()
    client = open_client()
    huge = client.start("send", conversationId=conversation, content="x" * 400_000)
    torn = client.start("send", conversationId=other, content="half a smile: \ud83d")
    for each in (conversation, other):
        client.do("send", conversationId=each, content="and on")
        assert stored(roles, each, 1) == ["and on"]
    with pytest.raises(Refused, match="too-large"):
        huge.result(PATIENCE_SECONDS)
    with pytest.raises(Refused, match="malformed-json"):
        torn.result(PATIENCE_SECONDS)


def test_repeat_under_the_same_id_makes_no_second_message(open_client: Open, roles: Roles) -> None:
    conversation, name = fresh(), uuid4().hex
    client = open_client()
    first = client.do("send", conversationId=conversation, content="once", clientMessageId=name)
    assert client.do("send", conversationId=conversation, content="once", clientMessageId=name) == first
    client.do("send", conversationId=conversation, content="last")
    assert stored(roles, conversation, 2) == ["once", "last"]
    with pytest.raises(Refused, match="idempotency-mismatch"):
        client.do("send", conversationId=conversation, content="other", clientMessageId=name)


@EVERY_KIND
def test_answers_that_are_lost_cost_nothing(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    client = open_client(wire.url)
    client.do("join", conversationId=conversation, since=0)
    contents = [f"message {number}" for number in range(1, 4)]
    sent = client.start("sendAll", conversationId=conversation, contents=contents)
    wire.lose(b'"accepted"', b'"accepted"')
    for lost in (1, 2):
        until(lambda: len(wire.lost) >= lost)  # noqa: B023  # it is called here
        wire.cut()
    assert len({accepted["messageId"] for accepted in sent.result(PATIENCE_SECONDS)}) == 3
    client.wait(lambda: client.contents(conversation) == contents)


@pytest.fixture
def slow_wire(roles: Roles) -> Iterator[Wire]:
    """The network in front of an API where a user may send twelve messages, and one more every five seconds."""
    port = free_port()
    settings = {**roles.environment, "CHATQ_RATE_LIMIT": "12/m"}
    api = roles.chatq.fork(API, "api", "--port", str(port), env=settings)
    api.wait_for("listening")
    wire = Wire(port)
    yield wire
    wire.close()
    api.terminate()


def test_who_was_too_fast_waits_as_long_as_the_server_says(slow_wire: Wire) -> None:
    conversation = fresh()
    clients = {kind: Driven(kind, slow_wire.url, userId=kind) for kind in ("javascript", "threads")}
    try:
        for user, client in clients.items():
            client.do("join", conversationId=conversation)
            message = {"conversationId": conversation, "messageData": {"senderId": user, "content": "many"}}
            batch = {"messages": [message] * 12}
            results = httpx.post(f"{slow_wire.url}/api/messages/batch", json=batch, timeout=PATIENCE_SECONDS).json()[
                "results"
            ]
            assert [result["status"] for result in results] == ["Message queued"] * 12
        sent = [client.start("send", conversationId=conversation, content="late") for client in clients.values()]
        for each in sent:
            assert each.result(PATIENCE_SECONDS)["messageId"]
    finally:
        for client in clients.values():
            client.close()

    refusals = [frame for frame in slow_wire.passed if b'"rate-limited"' in frame]
    assert len(refusals) <= len(clients), refusals


def test_a_browser_that_opens_no_socket_to_an_address_is_not_kept_waiting() -> None:
    client = Driven("javascript", "http://127.0.0.1:99999", userId="alice")
    try:
        ended = client.wait(lambda: next((e for e in client.events if e.get("state") == "closed"), None))
        assert ended["error"]["code"] == "no-socket"
        with pytest.raises(Refused):
            client.do("send", conversationId="c", content="hello")
    finally:
        client.close()
