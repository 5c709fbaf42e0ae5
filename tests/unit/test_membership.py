"""What a process remembers of memberships, and when it asks again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from chatq.access import membership
from chatq.access.membership import (
    TRUSTED_SECONDS,
    UNHEARD_SECONDS,
    Change,
    Memberships,
    announce,
    heed,
)
from chatq.domain.clock import timestamp
from chatq.domain.wire import decode
from chatq.errors import UnknownConversation
from chatq.queue import keys
from chatq.store import members
from chatq.store.members import Role
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until


class Clock:
    """A clock that somebody else turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(engine: Engine, clock: Clock) -> Memberships:
    members.create_conversation(engine, "c", "ann", title=None, others=["bob"], now=timestamp())
    known = Memberships(engine, clock)
    known.hear()
    return known


def remove(engine: Engine, user: str) -> None:
    members.remove_member(engine, "c", user, by=user, allow=lambda _role: None)


def add(engine: Engine, user: str, role: Role = "member") -> None:
    members.put_member(engine, "c", user, role, by="ann", allow=lambda _role: None, now=timestamp())


def test_a_role_is_remembered_until_it_is_forgotten(engine: Engine, known: Memberships) -> None:
    assert known.role("c", "bob") == "member"
    remove(engine, "bob")
    assert known.role("c", "bob") == "member"
    known.forget("c", "bob")
    assert known.role("c", "bob") is None


def test_that_somebody_is_no_member_is_not_remembered(engine: Engine, known: Memberships) -> None:
    assert known.role("c", "eve") is None
    add(engine, "eve")
    assert known.role("c", "eve") == "member"
    with pytest.raises(UnknownConversation):
        known.role("new", "eve")
    with pytest.raises(UnknownConversation):
        known.check_exists("new")
    members.create_conversation(engine, "new", "eve", title=None, others=[], now=timestamp())
    assert known.role("new", "eve") == "owner"
    known.check_exists("new")


@pytest.mark.parametrize(("heard", "seconds"), [(True, TRUSTED_SECONDS), (False, UNHEARD_SECONDS)])
def test_a_role_is_believed_for_a_while(
    engine: Engine, known: Memberships, clock: Clock, heard: bool, seconds: float
) -> None:
    known.role("c", "bob")
    remove(engine, "bob")
    if not heard:
        known.deafen()
    clock.now += seconds - 0.1
    assert known.role("c", "bob") == "member"
    clock.now += 0.2
    assert known.role("c", "bob") is None


def test_all_is_forgotten_when_changes_may_have_been_missed(engine: Engine, known: Memberships) -> None:
    known.role("c", "bob")
    known.deafen()
    remove(engine, "bob")
    known.hear()
    assert known.role("c", "bob") is None


def test_an_answer_that_a_change_overtook_is_asked_for_again(
    engine: Engine, known: Memberships, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a removal that is committed, and announced, while the database's answer is on its way
    find = members.find_role
    asked: list[str] = []

    def find_slowly(engine: Engine, conversation_id: str, user_id: str) -> Role | None:
        answer = find(engine, conversation_id, user_id)
        asked.append(user_id)
        if len(asked) == 1:
            remove(engine, "bob")
            known.forget("c", "bob")
        return answer

    monkeypatch.setattr(members, "find_role", find_slowly)
    # Then the answer of before is neither given nor remembered
    assert known.role("c", "bob") is None
    assert known.role("c", "bob") is None
    assert len(asked) == 3


def test_changes_of_others_keep_nobody_from_an_answer(
    engine: Engine, known: Memberships, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given somebody else who comes and goes without end, as anybody may: one change for each question
    find = members.find_role
    asked: list[str] = []

    def find_slowly(engine: Engine, conversation_id: str, user_id: str) -> Role | None:
        asked.append(user_id)
        assert len(asked) < 110
        known.forget("c", f"other-{len(asked)}")
        return find(engine, conversation_id, user_id)

    monkeypatch.setattr(members, "find_role", find_slowly)
    # Then of many questions next to none has to be repeated
    for number in range(100):
        assert known.role("c", f"stranger-{number}") is None


def test_what_was_not_used_for_longest_goes_first(
    engine: Engine, known: Memberships, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MAX_KNOWN", 2)
    known.role("c", "ann")
    known.role("c", "bob")
    known.role("c", "ann")
    known.check_exists("c")
    for user in ("ann", "bob"):
        add(engine, "zoe", "owner")
        remove(engine, user)
    assert known.role("c", "ann") == "owner"
    assert known.role("c", "bob") is None


def test_an_announcement_waits_until_all_who_hear_it_go_by_it(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a process that listens, and one that announces a change
    monkeypatch.setattr(membership, "HEED_SECONDS", PATIENCE_SECONDS)
    with valkey.client() as client, client.pubsub() as listening, ThreadPoolExecutor(1) as thread:
        listening.subscribe(keys.MEMBERS)
        assert next(listening.listen())["type"] == "subscribe"
        announcing = thread.submit(announce, client, "c", "bob", removed=True)
        change = decode(next(listening.listen())["data"], Change)
        assert (change.conversation_id, change.user_id, change.removed) == ("c", "bob", True)
        assert not announcing.done()
        # When the one that listens says that it goes by it, the other one goes on
        heed(client, change)
        announcing.result(PATIENCE_SECONDS)
        # Nor does it wait for ever, or where nobody listens
        monkeypatch.setattr(membership, "HEED_SECONDS", 0.0)
        announce(client, "c", "bob", removed=True)
        listening.unsubscribe()
        monkeypatch.setattr(membership, "HEED_SECONDS", PATIENCE_SECONDS)
        until(lambda: client.pubsub_numsub(keys.MEMBERS)[0][1] == 0)
        announce(client, "c", "bob", removed=True)
        assert client.keys(keys.heeded("*")) == []
