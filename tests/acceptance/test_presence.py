"""Who types and who is there, right across processes, and after a crash of any of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.acceptance.conftest import ONE_DATABASE
from tests.parts.client import Client, RawSocket, frame
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until


class Neighbour(Roles):
    """One more API of an installation."""

    def __init__(self, roles: Roles) -> None:
        super().__init__(roles.chatq, roles.environment["REDIS_URL"], roles.environment["DATABASE_URL"])


@pytest.fixture
def neighbour(roles: Roles) -> Iterator[Roles]:
    """An API in a process of its own, beside the one that the module's tests share."""
    neighbour = Neighbour(roles)
    running = neighbour.start_api()
    yield neighbour
    neighbour.http.close()
    running.close()


@contextmanager
def there(roles: Roles, conversation: str, user: str | None) -> Iterator[Client]:
    """Yield the client of somebody who has joined a conversation, and hears everything."""
    with roles.connect() as client:
        if user is not None:
            client.auth(user)
        client.attentive = True
        client.join(conversation)
        yield client


def hear_presence(
    client: Client, conversation: str, *changes: tuple[str, bool], timeout: float = PATIENCE_SECONDS
) -> None:
    """Wait for frames that tell exactly these changes, in any order."""
    heard = [client.expect("presence", timeout) for _ in changes]
    expected = [
        {"type": "presence", "conversationId": conversation, "userId": user, "online": online}
        for user, online in changes
    ]
    assert sorted(heard, key=str) == sorted(expected, key=str)


def typing(conversation: str, user: str, *, active: bool) -> dict[str, Any]:
    return {"type": "typing", "conversationId": conversation, "userId": user, "active": active}


# --- presence ------------------------------------------------------------------------------------


@ONE_DATABASE
def test_who_comes_is_told_who_is_there_and_the_others_that_they_came_and_left(roles: Roles, neighbour: Roles) -> None:
    conversation = fresh()
    with there(roles, conversation, "alice") as alice, there(neighbour, conversation, "bob") as bob:
        hear_presence(alice, conversation, ("bob", True))
        hear_presence(bob, conversation, ("alice", True))
        with there(neighbour, conversation, "carol") as carol:
            hear_presence(carol, conversation, ("alice", True), ("bob", True))
            hear_presence(alice, conversation, ("carol", True))
            hear_presence(bob, conversation, ("carol", True))
        hear_presence(alice, conversation, ("carol", False))
        hear_presence(bob, conversation, ("carol", False))
        bob.say("leave", conversationId=conversation)
        bob.expect("left")
        hear_presence(alice, conversation, ("bob", False))
        alice.quiet()
        bob.quiet()


@ONE_DATABASE
def test_a_user_is_there_from_their_first_socket_to_their_last_in_whichever_process(
    roles: Roles, neighbour: Roles
) -> None:
    conversation = fresh()
    with there(roles, conversation, "alice") as alice, ExitStack() as stack:
        second = stack.enter_context(ExitStack())
        first = stack.enter_context(there(roles, conversation, "bob"))
        hear_presence(first, conversation, ("alice", True))
        hear_presence(alice, conversation, ("bob", True))
        # When there are more of the same user, here and elsewhere, nobody is told
        third = second.enter_context(there(neighbour, conversation, "bob"))
        second.enter_context(there(roles, conversation, "bob"))
        hear_presence(third, conversation, ("alice", True))
        with there(neighbour, conversation, "carol"):
            hear_presence(alice, conversation, ("carol", True))
            hear_presence(first, conversation, ("carol", True))
        hear_presence(alice, conversation, ("carol", False))
        # And only when the last of them has left, the others are
        first.say("leave", conversationId=conversation)
        hear_presence(first, conversation, ("carol", False))
        first.expect("left")
        with there(neighbour, conversation, "dave"):
            hear_presence(alice, conversation, ("dave", True))
        hear_presence(alice, conversation, ("dave", False))
        second.close()
        hear_presence(alice, conversation, ("bob", False))


@ONE_DATABASE
def test_who_has_not_said_who_they_are_sees_others_and_is_not_seen(roles: Roles) -> None:
    conversation = fresh()
    with there(roles, conversation, "alice") as alice, there(roles, conversation, None) as nobody:
        hear_presence(nobody, conversation, ("alice", True))
        with there(roles, conversation, "bob"):
            hear_presence(nobody, conversation, ("bob", True))
            hear_presence(alice, conversation, ("bob", True))
        hear_presence(alice, conversation, ("bob", False))
        hear_presence(nobody, conversation, ("bob", False))
        # When they say it, they are; and when they become somebody else, those are instead
        nobody.auth("carol")
        hear_presence(alice, conversation, ("carol", True))
        nobody.auth("dave")
        hear_presence(alice, conversation, ("carol", False), ("dave", True))


@ONE_DATABASE
def test_a_crowd_is_told_of_a_part_of_it(roles: Roles) -> None:
    conversation = fresh()
    with there(roles, conversation, None) as listener, ExitStack() as stack:
        for number in range(210):
            # None of them waits for what it is told; without a bound of its queue it takes all of it all the same.
            client = stack.enter_context(roles.connect(max_queue=None))
            client.say("auth", userId=f"user-{number}")
            client.say("join", conversationId=conversation)
        heard = {listener.expect("presence")["userId"] for _ in range(200)}
        assert len(heard) == 200
        listener.quiet()


@ONE_DATABASE
def test_users_of_a_process_that_was_killed_are_gone_after_some_seconds(roles: Roles) -> None:
    conversation = fresh()
    doomed = Neighbour(roles)
    running = doomed.start_api()
    with there(roles, conversation, "alice") as alice, ExitStack() as stack:
        stack.enter_context(there(doomed, conversation, "bob"))
        stack.enter_context(there(doomed, conversation, "alice"))
        hear_presence(alice, conversation, ("bob", True))
        running.close()
        hear_presence(alice, conversation, ("bob", False))
        alice.quiet()
    doomed.http.close()


def test_presence_is_right_again_after_redis_was_emptied(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    neighbour = Neighbour(sqlite_roles)
    neighbour.start_api()
    with ExitStack() as stack:
        alice = stack.enter_context(there(sqlite_roles, "c", "alice"))
        leaving = stack.enter_context(there(neighbour, "c", "bob"))
        stack.enter_context(there(neighbour, "c", "carol"))
        hear_presence(alice, "c", ("bob", True), ("carol", True))
        # Given a Redis that is away, and one who leaves meanwhile
        valkey.kill()
        leaving.say("leave", conversationId="c")
        while leaving.hear()["type"] != "left":
            pass
        for path in valkey.directory.glob("appendonlydir/*"):
            path.unlink()
        # When it is back, and empty
        valkey.start()
        # Then that one alone is gone
        hear_presence(alice, "c", ("bob", False))
        with there(neighbour, "c", "dave") as dave:
            hear_presence(dave, "c", ("alice", True), ("carol", True))
            hear_presence(alice, "c", ("dave", True))
    neighbour.http.close()


# --- typing --------------------------------------------------------------------------------------


@ONE_DATABASE
def test_typing_reaches_the_others_and_is_over_by_word_or_by_leaving(roles: Roles, neighbour: Roles) -> None:
    conversation = fresh()
    with ExitStack() as stack:
        alice = stack.enter_context(there(roles, conversation, "alice"))
        again = stack.enter_context(there(neighbour, conversation, "alice"))
        bob = stack.enter_context(there(neighbour, conversation, "bob"))
        hear_presence(alice, conversation, ("bob", True))
        hear_presence(again, conversation, ("bob", True))
        hear_presence(bob, conversation, ("alice", True))
        # When a client types, then the others hear of it once, and neither its own sockets nor it itself
        for _ in range(5):
            alice.say("typing", conversationId=conversation, active=True)
        assert bob.hear() == typing(conversation, "alice", active=True)
        alice.say("typing", conversationId=conversation, active=False)
        alice.say("typing", conversationId=conversation, active=False)
        assert bob.hear() == typing(conversation, "alice", active=False)
        for client in (alice, again, bob):
            client.quiet()
        # When it leaves, or is gone, while it types, then that is over as well
        alice.say("typing", conversationId=conversation, active=True)
        assert bob.hear() == typing(conversation, "alice", active=True)
        alice.say("leave", conversationId=conversation)
        alice.expect("left")
        assert bob.hear() == typing(conversation, "alice", active=False)
        bob.say("typing", conversationId=conversation, active=True)
        assert again.hear() == typing(conversation, "bob", active=True)
        bob.connection.socket.close()
        ended = [again.hear(), again.hear()]
        assert typing(conversation, "bob", active=False) in ended


@ONE_DATABASE
def test_who_types_and_stops_in_turn_without_end_is_told_now_and_then_and_as_it_ends(roles: Roles) -> None:
    conversation = fresh()
    turns = [
        json.dumps({"type": "typing", "conversationId": conversation, "active": active}).encode()
        for active in [*[True, False] * 150, True]
    ]
    with (
        there(roles, conversation, None) as listener,
        there(roles, conversation, "bob") as bob,
        RawSocket(roles.port) as alice,
    ):
        alice.say("auth", userId="alice")
        alice.say("join", conversationId=conversation)
        hear_presence(listener, conversation, ("alice", True), ("bob", True))
        # When all is said in one write
        alice.socket.sendall(b"".join(frame(1, turn) for turn in turns))
        alice.say("typing", conversationId=conversation, active=False)
        alice.say("ping")
        while b'"pong"' not in (alice.read() or (0, b'"pong"'))[1]:
            pass
        # And what the server had told of it by then is told, before what another one says next
        bob.say("typing", conversationId=conversation, active=True)
        told = list(iter(listener.hear, typing(conversation, "bob", active=True)))
        assert told[0] == typing(conversation, "alice", active=True)
        # Then it is over, now or a moment later
        if told[-1]["active"]:
            told.append(listener.hear())
        assert told[-1] == typing(conversation, "alice", active=False)
        assert len(told) < 50
        listener.quiet()


@ONE_DATABASE
def test_typing_of_a_silent_client_is_over_by_itself(roles: Roles) -> None:
    conversation = fresh()
    with there(roles, conversation, "alice") as alice, there(roles, conversation, None) as listener:
        hear_presence(listener, conversation, ("alice", True))
        alice.say("typing", conversationId=conversation, active=True)
        assert listener.hear() == typing(conversation, "alice", active=True)
        assert listener.hear() == typing(conversation, "alice", active=False)


@ONE_DATABASE
def test_typing_is_over_when_the_process_was_killed_from_which_it_was_heard(roles: Roles) -> None:
    conversation = fresh()
    doomed = Neighbour(roles)
    running = doomed.start_api()
    with there(roles, conversation, None) as listener, there(doomed, conversation, "alice") as alice:
        hear_presence(listener, conversation, ("alice", True))
        alice.say("typing", conversationId=conversation, active=True)
        assert listener.hear() == typing(conversation, "alice", active=True)
        running.close()
        assert listener.hear() == typing(conversation, "alice", active=False)
    doomed.http.close()


@ONE_DATABASE
def test_only_who_has_joined_can_type(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client, there(roles, conversation, "alice") as alice:
        client.say("typing", conversationId=conversation, active=True, ref="r")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("forbidden", "r")
        client.say("typing", conversationId=conversation)
        assert client.expect("error")["code"] == "invalid-fields"
        alice.quiet()


@ONE_DATABASE
def test_a_member_who_is_removed_neither_types_nor_is_there_any_more(roles: Roles) -> None:
    guarded = Neighbour(roles)
    running = guarded.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    conversation = fresh()
    alice, bob = Person(guarded, "alice"), Person(guarded, "bob")
    alice.make(conversation, bob)
    with alice.connect() as owner, bob.connect() as member:
        owner.attentive = True
        owner.join(conversation)
        member.join(conversation)
        hear_presence(owner, conversation, ("bob", True))
        member.say("typing", conversationId=conversation, active=True)
        assert owner.hear() == typing(conversation, "bob", active=True)
        assert alice.ask("DELETE", f"/api/conversations/{conversation}/members/bob").is_success
        member.expect("left")
        ended = [owner.hear(), owner.hear()]
        assert typing(conversation, "bob", active=False) in ended
        # What they say now is refused, and what others do is not told to them
        member.say("typing", conversationId=conversation, active=True)
        assert member.expect("error")["code"] == "forbidden"
        member.attentive = True
        owner.say("typing", conversationId=conversation, active=True)
        owner.quiet()
        member.quiet()
    guarded.http.close()
    running.close()


def test_neither_leaves_anything_in_redis_that_lasts(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    operator = valkey.client()
    with there(sqlite_roles, "c", "alice") as alice, there(sqlite_roles, "c", "bob") as bob:
        alice.say("typing", conversationId="c", active=True)
        until(lambda: bob.hear()["type"] == "typing")
        until(lambda: operator.zcard("chatq:presence") == 1)
        assert all(operator.ttl(key) > 0 for key in operator.keys("*presence*"))
        assert not operator.keys("*typing*")
    operator.close()
