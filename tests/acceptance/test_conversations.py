"""Conversations that users make, and their members, through the front door."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.acceptance.conftest import ONE_DATABASE
from tests.acceptance.test_http import fields_of, problem_of
from tests.parts.client import Client, RawSocket
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, beside, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until


@pytest.fixture(params=["tokens", "development"])
def mode(request: pytest.FixtureRequest) -> str:
    """Whether people have tokens."""
    return str(request.param)


class Town:
    """Where people of a test's own live."""

    def __init__(self, roles: Roles, *, signed: bool = True) -> None:
        self._roles = roles
        self._signed = signed
        self._suffix = uuid4().hex[:6]

    def person(self, name: str) -> Person:
        """Return somebody whom no other test knows."""
        return Person(self._roles, f"{name}-{self._suffix}", signed=self._signed)

    def people(self, *names: str) -> list[Person]:
        return [self.person(name) for name in names]


@pytest.fixture(scope="module")
def guarded(roles: Roles) -> Iterator[Roles]:
    """The same installation's API that asks for tokens."""
    with beside(roles, "--api-workers", "2", env={"CHATQ_JWT_SECRET": SECRET}) as guarded:
        yield guarded


@pytest.fixture
def either(mode: str, roles: Roles, guarded: Roles) -> Town:
    """A town with an API of either mode."""
    return Town(guarded) if mode == "tokens" else Town(roles, signed=False)


@pytest.fixture
def safe(guarded: Roles) -> Town:
    """A town where everybody has a token."""
    return Town(guarded)


def member(conversation: str, person: Person) -> str:
    return f"/api/conversations/{conversation}/members/{person.name}"


# --- making ----------------------------------------------------------------------------------------


def test_a_conversation_is_made_and_shown(either: Town) -> None:
    ann, bob = either.people("ann", "bob")
    conversation = fresh()
    document = {"id": conversation, "title": "Weekend \N{SNOWMAN}", "members": [bob.name, ann.name, bob.name]}

    answer = ann.ask("POST", "/api/conversations", document)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/conversations/{conversation}"
    made = answer.json()
    assert made == {
        "id": conversation,
        "title": "Weekend \N{SNOWMAN}",
        "lastSeq": 0,
        "lastMessage": None,
        "lastMessageAt": None,
        "createdAt": made["createdAt"],
        "members": [
            {"userId": who.name, "role": role, "deliveredSeq": 0, "readSeq": 0, "joinedAt": made["createdAt"]}
            for who, role in ((ann, "owner"), (bob, "member"))
        ],
    }
    assert bob.ask("GET", answer.headers["location"]).json() == made
    listed = bob.ask("GET", "/api/conversations").json()["conversations"]
    assert [(found["id"], found["title"], found["unreadCount"]) for found in listed] == [
        (conversation, "Weekend \N{SNOWMAN}", 0)
    ]


def test_made_again_it_stays_as_it_is(either: Town) -> None:
    ann, bob = either.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, title="first")
    again = ann.ask("POST", "/api/conversations", {"id": conversation, "title": "second", "members": [bob.name]})
    assert (again.status_code, again.json()["title"]) == (200, "first")
    assert ann.roles_in(conversation) == {ann.name: "owner"}
    # A member that does not own it, and somebody else
    ann.ask("PUT", member(conversation, bob))
    for other in (bob, either.person("eve")):
        refused = other.ask("POST", "/api/conversations", {"id": conversation})
        assert refused.status_code == 409
        assert problem_of(refused)["code"] == "conversation-exists"


def test_without_an_id_it_gets_one_of_its_own(either: Town) -> None:
    ann = either.person("ann")
    made = [ann.ask("POST", "/api/conversations", {}).json()["id"] for _ in range(2)]
    assert made[0] != made[1]
    assert ann.roles_in(made[0]) == {ann.name: "owner"}


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"id": "a b"}, ["id"]),
        ({"id": 7, "title": ""}, ["id", "title"]),
        ({"title": " \n"}, ["title"]),
        ({"title": "a\0b"}, ["title"]),
        ({"title": "x" * 201}, ["title"]),
        ({"members": "bob"}, ["members"]),
        ({"members": ["bob", "b b", "x" * 129]}, ["members.1", "members.2"]),
        ({"members": [f"u{number}" for number in range(1001)]}, ["members"]),
        ({"owner": "bob"}, ["owner"]),
        ([], [""]),
    ],
)
@ONE_DATABASE
def test_what_cannot_be_made_is_named(guarded: Roles, document: object, fields: list[str]) -> None:
    assert fields_of(Person(guarded, "ann").ask("POST", "/api/conversations", document)) == fields


@ONE_DATABASE
def test_title_and_members_may_be_as_many_as_is_said(safe: Town) -> None:
    ann = safe.person("ann")
    conversation = fresh()
    document = {"id": conversation, "title": "\N{SNOWMAN}" * 200, "members": [f"u{number}" for number in range(1000)]}
    assert ann.ask("POST", "/api/conversations", document).status_code == 201
    assert len(ann.roles_in(conversation)) == 1001


@ONE_DATABASE
def test_half_a_surrogate_pair_is_no_title(guarded: Roles) -> None:
    ann = Person(guarded, "ann")
    answer = guarded.http.post("/api/conversations", content=b'{"title": "\\ud800"}', headers=ann.headers)
    assert answer.status_code == 400
    assert problem_of(answer)["code"] == "malformed-json"


def at_once(*requests: tuple[Person, str, str, object]) -> list[httpx.Response]:
    """Send all of these requests at the same time, and return their answers."""
    barrier = threading.Barrier(len(requests))
    answers: list[Any] = [None] * len(requests)

    def ask(at: int) -> None:
        person, method, path, document = requests[at]
        barrier.wait()
        answers[at] = person.ask(method, path, document)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_many_who_make_it_at_once_one_owns_it(safe: Town) -> None:
    people = safe.people("ann", "bob", "eve", "zoe")
    for _ in range(3):
        conversation = fresh()
        new = {"id": conversation}
        answers = at_once(*((person, "POST", "/api/conversations", new) for person in [*people, *people]))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200, 201, *[409] * 6]
        (owner,) = {
            person.name
            for person, answer in zip([*people, *people], answers, strict=True)
            if answer.status_code in {200, 201}
        }
        made = next(answer.json() for answer in answers if answer.status_code == 201)
        assert made["members"][0]["userId"] == owner


# --- members ---------------------------------------------------------------------------------------


def test_members_come_change_and_go(either: Town) -> None:
    ann, bob = either.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation)

    new = ann.ask("PUT", member(conversation, bob))
    assert new.status_code == 201
    assert (new.json()["userId"], new.json()["role"], new.json()["readSeq"]) == (bob.name, "member", 0)
    assert ann.ask("PUT", member(conversation, bob), {}).json() == new.json()
    changed = ann.ask("PUT", member(conversation, bob), {"role": "owner"})
    assert (changed.status_code, changed.json()["role"]) == (200, "owner")
    # Without a role it stays what it is
    assert ann.ask("PUT", member(conversation, bob)).json()["role"] == "owner"

    for _ in range(2):
        gone = bob.ask("DELETE", member(conversation, ann))
        assert (gone.status_code, gone.content) == (204, b"")
    assert bob.roles_in(conversation) == {bob.name: "owner"}


def test_the_last_owner_stays_while_there_are_others(either: Town) -> None:
    ann, bob = either.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, bob)
    for answer in (
        ann.ask("DELETE", member(conversation, ann)),
        ann.ask("PUT", member(conversation, ann), {"role": "member"}),
    ):
        assert answer.status_code == 409
        assert problem_of(answer)["code"] == "last-owner"
    assert bob.ask("DELETE", member(conversation, bob)).status_code == 204
    assert ann.ask("DELETE", member(conversation, ann)).status_code == 204


def test_where_there_is_no_conversation_nobody_is_a_member(either: Town) -> None:
    ann = either.person("ann")
    for method in ("PUT", "DELETE"):
        answer = ann.ask(method, member(fresh(), ann))
        assert answer.status_code == 404
        assert problem_of(answer)["code"] == "unknown-conversation"


@ONE_DATABASE
def test_members_that_cannot_be_are_named(guarded: Roles) -> None:
    ann = Person(guarded, "ann")
    for method in ("PUT", "DELETE"):
        assert fields_of(ann.ask(method, "/api/conversations/a%20b/members/bob")) == ["conversationId"]
        assert fields_of(ann.ask(method, "/api/conversations/c/members/b%20b")) == ["userId"]
    assert fields_of(ann.ask("PUT", "/api/conversations/c/members/bob", {"role": "king"})) == ["role"]
    assert fields_of(ann.ask("PUT", "/api/conversations/c/members/bob", {"rule": "owner"})) == ["rule"]
    assert fields_of(ann.ask("GET", "/api/conversations/a%20b")) == ["conversationId"]


def test_two_owners_who_remove_each_other_leave_one(safe: Town) -> None:
    ann, bob, zoe = safe.people("ann", "bob", "zoe")
    for _ in range(3):
        conversation = fresh()
        ann.make(conversation, zoe)
        ann.ask("PUT", member(conversation, bob), {"role": "owner"})
        answers = at_once(
            (ann, "DELETE", member(conversation, bob), None), (bob, "DELETE", member(conversation, ann), None)
        )
        assert sorted(answer.status_code for answer in answers) == [204, 403]
        assert sorted(zoe.roles_in(conversation).values()) == ["member", "owner"]


def test_a_conversation_shows_how_far_its_members_have_come(either: Town) -> None:
    ann, bob = either.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, bob)
    for content in ("one", "two"):
        message = ann.sent(conversation, content)
    path = f"/api/messages/{message}"
    until(lambda: ann.ask("GET", path).json()["state"] == "persisted")

    assert bob.ask("PATCH", path, {"status": "read"}).status_code == 202

    def show() -> Any:
        return ann.ask("GET", f"/api/conversations/{conversation}").json()

    shown = until(lambda: [now for now in [show()] if now["lastSeq"] == 3])[0]
    assert shown["lastMessage"]["content"] == "two"
    assert shown["lastMessage"]["persistedAt"] == shown["lastMessageAt"]
    assert [(m["userId"], m["deliveredSeq"], m["readSeq"]) for m in shown["members"]] == [
        (ann.name, 0, 0),
        (bob.name, 2, 2),
    ]
    assert [found["unreadCount"] for found in bob.ask("GET", "/api/conversations").json()["conversations"]] == [0]


def test_in_development_a_conversation_that_does_not_exist_is_empty(roles: Roles) -> None:
    conversation = fresh()
    assert roles.http.get(f"/api/conversations/{conversation}").json() == {
        "id": conversation,
        "title": None,
        "lastSeq": 0,
        "lastMessage": None,
        "lastMessageAt": None,
        "createdAt": None,
        "members": [],
    }


def test_in_development_who_speaks_becomes_a_member(roles: Roles) -> None:
    conversation = fresh()
    roles.store(conversation, "hello", senderId="dora")
    assert Person(roles, "dora", signed=False).roles_in(conversation) == {"dora": "member"}


def test_two_users_may_choose_the_same_key_for_a_change(safe: Town) -> None:
    ann, bob = safe.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, bob)
    message = ann.sent(conversation, "hello")
    for person in (ann, bob):
        person.headers["Idempotency-Key"] = "k-1"
        assert person.ask("PATCH", f"/api/messages/{message}", {"status": "read"}).status_code == 202


# --- being removed ---------------------------------------------------------------------------------


def expect_error(client: Client, code: str) -> None:
    assert client.expect("error")["code"] == code


def test_a_removed_member_s_sockets_leave_at_once(safe: Town) -> None:
    ann, bob = safe.people("ann", "bob")
    conversation, other = fresh(), fresh()
    ann.make(conversation, bob)
    ann.make(other, bob)
    with ann.connect() as stays, bob.connect() as one, bob.connect() as two:
        for client in (stays, one, two):
            client.join(conversation)
        one.join(other)
        ann.sent(conversation, "before")
        for client in (stays, one, two):
            assert client.expect("newMessage")["seq"] == 1

        assert ann.ask("DELETE", member(conversation, bob)).status_code == 204

        for client in (one, two):
            assert client.expect("left") == {"type": "left", "conversationId": conversation}
        ann.sent(conversation, "after")
        assert stays.expect("newMessage")["seq"] == 2
        one.say("ping")
        assert one.expect("pong")["seqs"] == {other: 0}
        two.say("join", conversationId=conversation)
        expect_error(two, "forbidden")
        two.say("send", ref="1", conversationId=conversation, messageData={"content": "let me in"})
        expect_error(two, "forbidden")
        # What else he follows goes on
        ann.sent(other, "here")
        assert one.expect("newMessage")["conversationId"] == other
        # Put back, he may come back
        assert ann.ask("PUT", member(conversation, bob)).status_code == 201
        two.join(conversation, since=1)
        assert two.expect("newMessage")["message"]["content"] == "after"


def test_who_leaves_by_himself_hears_no_more_either(safe: Town) -> None:
    ann, bob = safe.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, bob)
    with bob.connect() as client:
        client.join(conversation)
        assert bob.ask("DELETE", member(conversation, bob)).status_code == 204
        client.expect("left")
        ann.sent(conversation, "after")
        client.quiet()


def test_a_service_that_is_none_any_more_needs_another_connection(safe: Town, guarded: Roles) -> None:
    ann = safe.person("ann")
    conversation = fresh()
    ann.make(conversation)
    service = Person(guarded, "backend", service=True)
    with service.connect() as client:
        client.join(conversation)
        client.say("auth", **Person(guarded, "backend").proof)
        expect_error(client, "forbidden")
        client.say("auth", **service.proof)
        client.expect("authenticated")


def test_who_is_removed_while_catching_up_sees_no_more(guarded: Roles, safe: Town, roles: Roles) -> None:
    # Given a long past, and a member who reads it more slowly than it is sent
    ann, bob = safe.people("ann", "bob")
    conversation, count = fresh(), 800
    ann.make(conversation, bob)
    roles.import_many(conversation, count, "x" * 15_000)
    with RawSocket(guarded.port, receive_buffer=4096) as slow:
        slow.say("auth", **bob.proof)
        slow.say("join", conversationId=conversation, since=0)
        frames = [read_json(slow) for _ in range(3)]
        assert [frame["type"] for frame in frames] == ["hello", "authenticated", "joined"]
        # When he is removed, and reads on
        assert ann.ask("DELETE", member(conversation, bob)).status_code == 204
        slow.say("ping")
        seen = []
        while (frame := read_json(slow))["type"] != "left":
            assert frame["type"] == "newMessage"
            seen.append(frame["seq"])
        # Then after some of the past comes the end of it, and nothing more
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) < count
        assert read_json(slow) == {"type": "pong", "seqs": {}}


def read_json(connection: RawSocket) -> Any:
    read = connection.read()
    assert read is not None
    return json.loads(read[1])


def test_every_process_refuses_a_removed_member(safe: Town, guarded: Roles) -> None:
    ann, bob = safe.people("ann", "bob")
    conversation = fresh()
    ann.make(conversation, bob)

    # Over connections that reach every process
    with ExitStack() as stack:
        connections = [
            stack.enter_context(httpx.Client(base_url=guarded.url, headers=bob.headers, timeout=PATIENCE_SECONDS))
            for _ in range(8)
        ]

        def codes() -> set[int]:
            return {http.get(f"/api/conversations/{conversation}/messages").status_code for http in connections}

        for _ in range(10):
            assert codes() == {200}
            # As soon as it is said that he is out, he is
            ann.ask("DELETE", member(conversation, bob))
            assert codes() == {403}
            ann.ask("PUT", member(conversation, bob))


def test_an_owner_who_is_one_no_more_changes_no_message_of_others(safe: Town) -> None:
    ann, bob, zoe = safe.people("ann", "bob", "zoe")
    conversation = fresh()
    ann.make(conversation, zoe)
    ann.ask("PUT", member(conversation, bob), {"role": "owner"})
    message = zoe.sent(conversation, "hello")
    path = f"/api/messages/{message}"
    assert bob.ask("PATCH", path, {"content": "edited"}).status_code == 202
    ann.ask("PUT", member(conversation, bob), {"role": "member"})
    assert bob.ask("PATCH", path, {"content": "again"}).status_code == 403


def test_what_was_accepted_of_a_removed_member_is_stored_without_bringing_him_back(idle_roles: Roles) -> None:
    # Given a message of bob's, and how far he has read, both accepted; and bob, who is removed before they are stored
    idle_roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    ann, bob = (Person(idle_roles, name) for name in ("ann", "bob"))
    ann.make("c", bob)
    first = ann.sent("c", "hello")
    message = bob.sent("c", "accepted")
    assert bob.ask("PATCH", f"/api/messages/{first}", {"status": "read"}).status_code == 202
    assert ann.ask("DELETE", member("c", bob)).status_code == 204
    # When a worker comes
    idle_roles.start_worker()
    until(lambda: ann.ask("GET", f"/api/messages/{message}").json().get("state") == "persisted")
    # Then the message is kept, nothing else has happened, and bob is still out
    last = ann.sent("c", "and on")
    until(lambda: ann.ask("GET", f"/api/messages/{last}").json()["state"] == "persisted")
    page = ann.ask("GET", "/api/conversations/c/messages").json()
    assert [entry["content"] for entry in page["messages"]] == ["hello", "accepted", "and on"]
    assert page["seq"] == 3
    assert ann.roles_in("c") == {"ann": "owner"}


# --- while Redis is away ---------------------------------------------------------------------------


def test_a_removal_that_nobody_could_hear_of_is_found_when_redis_is_back(idle_roles: Roles, valkey: Valkey) -> None:
    idle_roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    idle_roles.start_worker()
    other = Roles(idle_roles.chatq, idle_roles.environment["REDIS_URL"], idle_roles.environment["DATABASE_URL"])
    other.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    ann, bob = (Person(idle_roles, name) for name in ("ann", "bob"))
    ann.make("c", bob)
    with ann.connect() as stays, bob.connect() as goes:
        for client in (stays, goes):
            client.join("c")
        valkey.kill()
        # Given a removal that another process commits and cannot announce: it says so, and that it is to be sent again
        answer = Person(other, "ann").ask("DELETE", member("c", bob))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        # Then this process soon believes nothing of what it knew
        until(lambda: bob.ask("GET", "/api/conversations/c/messages").status_code == 403)
        # When Redis is back, bob is out before he sees anything
        valkey.start()
        until(lambda: ann.send("c", "secret").status_code == 202)
        assert stays.expect("newMessage")["seq"] == 1
        assert goes.expect("left") == {"type": "left", "conversationId": "c"}
        goes.quiet()
        assert Person(other, "ann").ask("DELETE", member("c", bob)).status_code == 204
    other.http.close()
