"""What users have received and read, as they say it over the websocket, on SQLite and Postgres."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatq.domain.ids import new_id
from tests.acceptance.conftest import ONE_DATABASE
from tests.parts.client import RawSocket, frame
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


def ids_in(roles: Roles, conversation: str) -> list[str]:
    return [message["id"] for message in roles.page(conversation, limit=200)["messages"]]


def unread(roles: Roles, conversation: str, user: str) -> int:
    listed = roles.http.get("/api/conversations", headers={"X-Chatq-User": user}).json()["conversations"]
    return next(int(each["unreadCount"]) for each in listed if each["id"] == conversation)


def test_status_moves_the_user_s_mark_and_is_answered_by_nothing(roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 3)
    first, second, third = ids_in(roles, conversation)
    with roles.connect() as alice, roles.connect() as bob:
        alice.join(conversation)
        bob.auth("bob")
        # When bob has read two, and received the third
        for message, status in ((second, "read"), (third, "delivered"), (first, "read"), (second, "delivered")):
            bob.say("status", messageId=message, status=status)
        # Then the others are told of each advance, in dense numbers, and bob of nothing
        heard = [alice.expect("messageStatus") for _ in range(2)]
        assert [(each["seq"], each["messageId"], each["status"], each["userId"]) for each in heard] == [
            (4, second, "read", "bob"),
            (5, third, "delivered", "bob"),
        ]
        bob.quiet()
        alice.quiet()
        assert unread(roles, conversation, "bob") == 1
        assert [message["status"] for message in roles.page(conversation)["messages"]] == ["read", "read", "delivered"]


def test_marks_that_come_together_make_one_event(roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 50)
    marks: list[dict[str, Any]] = [
        {"type": "status", "messageId": message, "status": status}
        for message in ids_in(roles, conversation)
        for status in ("delivered", "read")
    ]
    with roles.connect() as listener, RawSocket(roles.port) as raw:
        listener.join(conversation)
        raw.read()
        raw.socket.sendall(b"".join(frame(1, json.dumps(mark).encode()) for mark in marks))
        raw.say("ping")
        assert (raw.read() or (0, b""))[1] == b'{"type":"pong","seqs":{}}'
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["messageId"] != marks[-1]["messageId"] or heard[-1]["status"] != "read":
            heard.append(listener.expect("messageStatus"))
        # As many as there were reads of the socket, or batches: not one for each
        assert len(heard) < 50
        assert [each["seq"] for each in heard] == list(range(51, 51 + len(heard)))
        listener.quiet()


def test_a_message_that_waits_is_marked_after_it(idle_roles: Roles) -> None:
    idle_roles.start_api()
    message = idle_roles.send("c", "hello")
    with idle_roles.connect() as client:
        client.say("status", messageId=message, status="read")
        client.quiet()
        client.join("c")
        idle_roles.start_worker()
        assert client.expect("newMessage")["seq"] == 1
        assert (client.expect("messageStatus")["userId"]) == "dev"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"messageId": new_id("c"), "status": "read"}, "unknown-message"),
        ({"messageId": "m-1", "status": "read"}, "invalid-fields"),
        ({"messageId": new_id("c"), "status": "seen"}, "invalid-fields"),
        ({"messageId": new_id("c"), "status": "sent"}, "invalid-fields"),
        ({"messageId": new_id("c")}, "invalid-fields"),
        ({"messageId": new_id("c"), "status": "read", "userId": "bob"}, "invalid-fields"),
    ],
)
def test_bad_status_is_told_with_its_ref(roles: Roles, fields: dict[str, str], code: str) -> None:
    with roles.connect() as client:
        client.say("status", ref="r-1", **fields)
        error = client.expect("error")
        assert (error["code"], error["ref"]) == (code, "r-1")


def test_status_needs_membership_as_everything_does(roles: Roles) -> None:
    guarded = Roles(roles.chatq, roles.environment["REDIS_URL"], roles.environment["DATABASE_URL"])
    running = guarded.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    conversation = fresh()
    alice, bob, eve = (Person(guarded, name) for name in ("alice", "bob", "eve"))
    alice.make(conversation, bob)
    message = alice.sent(conversation, "hello")
    until(lambda: alice.ask("GET", f"/api/messages/{message}").json()["state"] == "persisted")
    with alice.connect() as owner, bob.connect() as member, eve.connect() as stranger, guarded.connect() as nobody:
        owner.join(conversation)
        for client, code in ((stranger, "forbidden"), (nobody, "unauthorized")):
            client.say("status", messageId=message, status="read", ref="r")
            error = client.expect("error")
            assert (error["code"], error["ref"]) == (code, "r")
        member.say("status", messageId=message, status="read")
        assert owner.expect("messageStatus")["userId"] == "bob"
    guarded.http.close()
    running.close()


def test_marks_that_are_not_accepted_are_each_told(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    sqlite_roles.start_worker()
    sqlite_roles.store_many("c", 3)
    messages = ids_in(sqlite_roles, "c")
    with RawSocket(sqlite_roles.port) as raw:
        raw.read()
        raw.say("send", ref="s", conversationId="c", messageData={"content": "opens the edge"})
        raw.read()
        valkey.kill()
        marks = [{"type": "status", "ref": id_, "messageId": id_, "status": "read"} for id_ in messages]
        raw.socket.sendall(b"".join(frame(1, json.dumps(mark).encode()) for mark in marks))
        errors = [json.loads((raw.read() or (0, b""))[1]) for _ in messages]
        assert {(error["code"], error["ref"]) for error in errors} == {("queue-unavailable", id_) for id_ in messages}
