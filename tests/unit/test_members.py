"""Conversations and their members in the database: what holds when several change them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from chatq.domain.clock import timestamp
from chatq.errors import ChatqError, Forbidden, LastOwner, UnknownConversation
from chatq.store import members
from chatq.store.members import Role


def create(engine: Engine, id_: str = "c", owner: str = "ann", *others: str, title: str | None = None) -> bool:
    return members.create_conversation(engine, id_, owner, title=title, others=others, now=timestamp())


def put(engine: Engine, user: str, role: Role | None = None, by: str = "ann") -> bool:
    _, is_new = members.put_member(engine, "c", user, role, by=by, allow=owners_only, now=timestamp())
    return is_new


def remove(engine: Engine, user: str, by: str = "ann") -> None:
    members.remove_member(engine, "c", user, by=by, allow=owners_only)


def owners_only(role: Role | None) -> None:
    if role != "owner":
        raise Forbidden


def roles(engine: Engine) -> dict[str, str]:
    details = members.find_details(engine, "c")
    assert details is not None
    return {member.user_id: member.role for member in details.members}


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all of these at the same time; return what each returned, or the error that it met."""
    barrier = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(at: int) -> None:
        barrier.wait()
        try:
            results[at] = acts[at]()
        except ChatqError as error:
            results[at] = type(error)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_conversation_is_made_with_its_owner_and_members(engine: Engine) -> None:
    assert create(engine, "c", "ann", "zoe", "bob", "ann", "bob", title="Weekend")

    details = members.find_details(engine, "c")

    assert details is not None
    assert (details.title, details.last_seq, details.last_message) == ("Weekend", 0, None)
    assert [(member.user_id, member.role, member.read_seq) for member in details.members] == [
        ("ann", "owner", 0),
        ("bob", "member", 0),
        ("zoe", "member", 0),
    ]


def test_one_that_exists_stays_as_it_is(engine: Engine) -> None:
    assert create(engine, "c", "ann", title="first")
    assert not create(engine, "c", "bob", "eve", title="second")
    assert roles(engine) == {"ann": "owner"}


def test_of_many_that_make_it_at_once_one_does(engine: Engine) -> None:
    for turn in range(5):
        users = [f"user{number}" for number in range(6)]
        made = at_once(*(partial(create, engine, f"c{turn}", user) for user in users))
        details = members.find_details(engine, f"c{turn}")
        assert sorted(made) == [False] * 5 + [True]
        assert details is not None
        assert [member.user_id for member in details.members] == [users[made.index(True)]]


def test_members_come_change_and_go(engine: Engine) -> None:
    create(engine)
    assert put(engine, "bob")
    assert not put(engine, "bob")
    assert not put(engine, "bob", "owner")
    assert not put(engine, "bob")
    assert roles(engine) == {"ann": "owner", "bob": "owner"}
    remove(engine, "ann", by="bob")
    remove(engine, "ann", by="bob")
    assert roles(engine) == {"bob": "owner"}
    assert members.find_role(engine, "c", "bob") == "owner"
    assert members.find_role(engine, "c", "ann") is None


def test_where_there_is_no_conversation_nobody_is_in_it(engine: Engine) -> None:
    for act in (
        lambda: put(engine, "bob"),
        lambda: remove(engine, "bob"),
        lambda: members.find_role(engine, "c", "bob"),
    ):
        with pytest.raises(UnknownConversation):
            act()
    assert members.find_details(engine, "c") is None


def test_the_last_owner_stays_while_there_are_others(engine: Engine) -> None:
    create(engine, "c", "ann", "bob")
    with pytest.raises(LastOwner):
        remove(engine, "ann")
    with pytest.raises(LastOwner):
        put(engine, "ann", "member")
    remove(engine, "bob")
    with pytest.raises(LastOwner):
        put(engine, "ann", "member")
    remove(engine, "ann")
    assert roles(engine) == {}


def test_two_owners_who_remove_each_other_leave_one(engine: Engine) -> None:
    for _ in range(10):
        members.create_conversation(engine, "c", "ann", title=None, others=["zoe"], now=timestamp())
        members.put_member(engine, "c", "bob", "owner", by="ann", allow=lambda _: None, now=timestamp())
        members.put_member(engine, "c", "ann", "owner", by="bob", allow=lambda _: None, now=timestamp())

        results = at_once(lambda: remove(engine, "bob", by="ann"), lambda: remove(engine, "ann", by="bob"))

        # Who is removed first has no say any more.
        assert sorted(map(str, results)) == sorted(map(str, [None, Forbidden]))
        assert list(roles(engine).values()).count("owner") == 1


def test_two_owners_who_leave_at_once_leave_one(engine: Engine) -> None:
    create(engine, "c", "ann", "zoe")
    for _ in range(10):
        for user in ("ann", "bob"):
            members.put_member(engine, "c", user, "owner", by="zoe", allow=lambda _: None, now=timestamp())
        results = at_once(lambda: remove(engine, "ann", by="ann"), lambda: remove(engine, "bob", by="bob"))
        assert sorted(map(str, results)) == sorted(map(str, [None, LastOwner]))


def test_one_that_is_put_by_many_at_once_is_new_once(engine: Engine) -> None:
    create(engine)
    for number in range(5):
        results = at_once(*[partial(put, engine, f"user{number}")] * 4)
        assert sorted(results) == [False, False, False, True]


def test_members_are_found_among_many_pairs(engine: Engine) -> None:
    for number in range(30):
        create(engine, f"c{number}", f"user{number}", "bob")
    pairs = [(f"c{number}", user) for number in range(40) for user in ("bob", *(f"user{n}" for n in range(20)))]
    assert members.find_members(engine, pairs) == {
        *((f"c{number}", "bob") for number in range(30)),
        *((f"c{number}", f"user{number}") for number in range(20)),
    }
    assert members.find_members(engine, []) == set()
