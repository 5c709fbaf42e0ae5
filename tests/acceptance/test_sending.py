"""Sending over the websocket, through its front door, on SQLite and Postgres."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from chatq.errors import ExitCode
from tests.acceptance.conftest import ONE_DATABASE
from tests.parts.client import Client, RawSocket, frame
from tests.parts.ports import listens
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


def send(client: Client, conversation: str, content: str, ref: str = "r", **data: Any) -> None:
    """Send a message and wait for nothing."""
    client.say("send", ref=ref, conversationId=conversation, messageData={"content": content, **data})


def contents(roles: Roles, conversation: str) -> list[str]:
    """Return what is stored in a conversation of up to 200 messages."""
    return [message["content"] for message in roles.page(conversation, limit=200)["messages"]]


def send_frames(conversation: str, count: int, content: str = "message") -> bytes:
    """Return the frames that send so many messages."""
    documents: Iterator[dict[str, Any]] = (
        {"type": "send", "ref": str(n), "conversationId": conversation, "messageData": {"content": f"{content} {n}"}}
        for n in range(1, count + 1)
    )
    return b"".join(frame(1, json.dumps(document).encode()) for document in documents)


@contextmanager
def frozen(valkey: Valkey) -> Iterator[None]:
    """Let Redis say nothing for a while."""
    valkey.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        valkey.send_signal(signal.SIGCONT)


# --- what is said and answered -------------------------------------------------------------------


def test_sent_message_is_accepted_stored_and_reaches_everybody(roles: Roles) -> None:
    # Given two in a conversation, one of whom has said who they are
    conversation = fresh()
    with roles.connect() as alice, roles.connect() as bob:
        alice.auth("alice")
        bob.join(conversation)
        # When that one sends
        send(alice, conversation, "hello", 'ä"\\\u2028', clientMessageId="m-1", metadata={"a": 1})
        # Then it is told the ids that a POST is told as well
        accepted = alice.expect("accepted")
        repeat = roles.post(conversation, "hello", clientMessageId="m-1", metadata={"a": 1}).json()
        assert accepted == {
            "type": "accepted",
            "ref": 'ä"\\\u2028',
            "messageId": repeat["messageId"],
            "jobId": repeat["jobId"],
        }
        # And the other one gets the message, once
        message = bob.expect("newMessage")["message"]
        assert (message["id"], message["senderId"], message["content"]) == (accepted["messageId"], "alice", "hello")
        bob.quiet()


def test_sender_is_who_auth_said_else_who_the_message_says_else_dev(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client:
        client.join(conversation)

        def sender(**data: str) -> str:
            send(client, conversation, "hello", **data)
            heard = {frame["type"]: frame for frame in (client.hear(), client.hear())}
            assert set(heard) == {"accepted", "newMessage"}
            return str(heard["newMessage"]["message"]["senderId"])

        assert sender() == "dev"
        assert sender(senderId="carol") == "carol"
        client.auth("alice")
        assert sender() == "alice"
        assert sender(senderId="alice") == "alice"
        send(client, conversation, "hello", "r-5", senderId="carol")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("forbidden", "r-5")


def test_many_in_flight_are_answered_and_stored_in_order(roles: Roles) -> None:
    conversation, count = fresh(), 3000
    with roles.connect() as listener, RawSocket(roles.port) as raw:
        listener.join(conversation)
        raw.read()
        # When a client sends without waiting for answers
        raw.socket.sendall(send_frames(conversation, count))
        answers = [json.loads((raw.read() or (0, b""))[1]) for _ in range(count)]
        # Then each is answered, in order
        assert [(answer["type"], answer["ref"]) for answer in answers] == [
            ("accepted", str(number)) for number in range(1, count + 1)
        ]
        # And each is stored, in order
        messages = [listener.expect("newMessage")["message"] for _ in range(count)]
        assert [message["content"] for message in messages] == [f"message {number}" for number in range(1, count + 1)]
        assert [message["id"] for message in messages] == [answer["messageId"] for answer in answers]


def test_many_sockets_send_at_once(roles: Roles) -> None:
    conversation, count = fresh(), 40
    with ExitStack() as stack:
        listener = stack.enter_context(roles.connect())
        listener.join(conversation)
        raws = [stack.enter_context(RawSocket(roles.port)) for _ in range(20)]
        for number, raw in enumerate(raws):
            raw.read()
            raw.socket.sendall(send_frames(conversation, count, f"{number}:"))
        for raw in raws:
            refs = [json.loads((raw.read() or (0, b""))[1])["ref"] for _ in range(count)]
            assert refs == [str(number) for number in range(1, count + 1)]
        heard = [listener.expect("newMessage")["message"]["content"] for _ in range(20 * count)]
        for number in range(20):
            own = [content for content in heard if content.startswith(f"{number}: ")]
            assert own == [f"{number}: {n}" for n in range(1, count + 1)]


def test_repeat_is_accepted_and_has_no_second_effect(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client:
        for _ in range(3):
            send(client, conversation, "once", clientMessageId="m-1")
        ids = {client.expect("accepted")["messageId"] for _ in range(3)}
        assert len(ids) == 1
        until(lambda: roles.state(ids.copy().pop()) == "persisted")
        assert contents(roles, conversation) == ["once"]
        # Other content under the same id is refused, and what is sent beside it is not.
        send(client, conversation, "other", "bad", clientMessageId="m-1")
        send(client, conversation, "more", "good")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("idempotency-mismatch", "bad")
        assert client.expect("accepted")["ref"] == "good"


# --- what is refused -----------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"ref": None}, "invalid-fields", "ref"),
        ({"conversationId": "a b"}, "invalid-fields", "conversationId"),
        ({"conversationId": None}, "invalid-fields", "conversationId"),
        ({"messageData": None}, "invalid-fields", "messageData"),
        ({"messageData": "hello"}, "invalid-fields", "messageData"),
        ({"messageData": {"content": " "}}, "invalid-fields", "messageData.content: is blank"),
        ({"messageData": {"content": "a\0b"}}, "invalid-fields", "NUL"),
        ({"messageData": {"content": "x", "senderId": "a b"}}, "invalid-fields", "messageData.senderId"),
        ({"messageData": {"content": "x", "sender": "a"}}, "invalid-fields", "messageData.sender"),
        ({"messageData": {"content": "x", "metadata": []}}, "invalid-fields", "messageData.metadata"),
        ({"messageData": {"content": "x", "createdAt": "2026-01-01T00:00:00Z"}}, "invalid-fields", "createdAt"),
        ({"expiresAt": "2026-01-01T00:00:00Z"}, "invalid-fields", "expiresAt"),
        ({"messageData": {"content": "x" * 16385}}, "too-large", "16385 bytes"),
        ({"messageData": {"content": "x", "metadata": {"a": "x" * 16384}}}, "too-large", "metadata"),
    ],
)
def test_bad_send_is_answered_with_its_ref_and_the_others_go_on(
    roles: Roles, fields: dict[str, Any], code: str, named: str
) -> None:
    conversation = fresh()
    good = {"ref": "r", "conversationId": conversation, "messageData": {"content": "fine"}}
    bad = {name: value for name, value in {**good, "ref": "bad", **fields}.items() if value is not None}
    with roles.connect() as client:
        client.say("send", **good)
        client.say("send", **bad)
        client.say("send", **good)
        heard = [client.hear() for _ in range(3)]
        assert sorted(frame["type"] for frame in heard) == ["accepted", "accepted", "error"]
        (error,) = [frame for frame in heard if frame["type"] == "error"]
        assert (error["code"], error.get("ref")) == (code, bad.get("ref"))
        assert named in error["detail"]


def test_full_queue_is_told(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_MAX_QUEUE_DEPTH": "5"})
    with sqlite_roles.connect() as client:
        for number in range(5):
            send(client, "c", "message", str(number))
            client.expect("accepted")
        send(client, "c", "one too many", "r-6")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("overloaded", "r-6")


def test_durability_that_is_not_confirmed_is_told(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_DURABILITY": "replica"})
    with sqlite_roles.connect() as client:
        send(client, "c", "message", "r-1")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("durability-unknown", "r-1")


# --- Redis away, and the end ---------------------------------------------------------------------


def test_without_redis_each_is_told_and_with_it_accepted_again(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    with sqlite_roles.connect() as client:
        send(client, "c", "before")
        client.expect("accepted")
        valkey.kill()
        for ref in ("r-1", "r-2"):
            send(client, "c", "lost", ref)
        for ref in ("r-1", "r-2"):
            error = client.expect("error")
            assert (error["code"], error["ref"]) == ("queue-unavailable", ref)
        # Who sends is not held up by what is sent.
        client.say("ping")
        client.expect("pong")
        valkey.start()
        send(client, "c", "after")
        client.expect("accepted")


def test_a_socket_is_read_on_while_redis_is_waited_for(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    with sqlite_roles.connect() as client:
        with frozen(valkey):
            for number in range(100):
                send(client, "c", "message", str(number))
            client.say("ping")
            client.expect("pong")
        assert [client.expect("accepted")["ref"] for _ in range(100)] == [str(number) for number in range(100)]


def test_client_that_closes_meanwhile_has_sent_or_not_but_nothing_by_halves(idle_roles: Roles) -> None:
    idle_roles.start_api()
    for number in range(10):
        with RawSocket(idle_roles.port) as raw:
            raw.socket.sendall(send_frames(f"c-{number}", 100))
    idle_roles.start_worker()
    for number in range(10):
        with idle_roles.connect() as client:
            # Whatever comes after it in the lane is stored after it.
            client.join(f"c-{number}", since=0)
            send(client, f"c-{number}", "last")
            stored: list[str] = []
            while not stored or stored[-1] != "last":
                heard = client.hear()
                if heard["type"] == "newMessage":
                    stored.append(heard["message"]["content"])
                else:
                    assert heard["type"] == "accepted"
            assert stored[:-1] == [f"message {n}" for n in range(1, len(stored))]


def test_what_is_in_hand_at_sigterm_is_answered_before_4503(sqlite_roles: Roles, valkey: Valkey) -> None:
    api = sqlite_roles.start_api()
    with sqlite_roles.connect() as client:
        send(client, "c", "first")
        client.expect("accepted")
        with frozen(valkey):
            for number in range(50):
                send(client, "c", "message", str(number))
            client.say("ping")
            client.expect("pong")
            api.process.terminate()
            until(lambda: not listens(sqlite_roles.port), what="no more connections")
        assert [client.expect("accepted")["ref"] for _ in range(50)] == [str(number) for number in range(50)]
        assert client.close_code() == 4503
        assert api.wait() == ExitCode.DONE
