"""How many messages a user has not read."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from chatq.domain.clock import timestamp
from chatq.store import members
from chatq.store.engine import writing
from chatq.store.inbox import UNREAD_AMONG, list_conversations
from chatq.store.tables import conversations, messages
from chatq.store.tables import members as members_table


@pytest.fixture
def counted(engine: Engine) -> Engine:
    """A database with one conversation of ann, bob and 600 messages: every third one ann's, every tenth deleted."""
    members.create_conversation(engine, "c", "ann", title=None, others=["bob"], now=timestamp())
    now = timestamp()
    rows = [
        {
            "id": f"m{seq}",
            "conversation_id": "c",
            "seq": seq,
            "sender_id": "ann" if seq % 3 == 0 else "zoe",
            "content": "x",
            "created_at": now,
            "persisted_at": now,
            "deleted_at": now if seq % 10 == 0 else None,
        }
        for seq in range(1, 601)
    ]
    with writing(engine) as connection:
        connection.execute(messages.insert(), rows)
        connection.execute(update(conversations).values(last_seq=600))
    return engine


def unread(engine: Engine, user: str, read_seq: int) -> int:
    with writing(engine) as connection:
        connection.execute(update(members_table).values(read_seq=read_seq))
    (view,) = list_conversations(engine, user)
    return view.unread_count


def test_unread_are_the_messages_of_others_above_the_mark(counted: Engine) -> None:
    for read_seq in (0, 50, 100, 101, 590, 599, 600):
        newest = [seq for seq in range(max(read_seq + 1, 600 - UNREAD_AMONG + 1), 601) if seq % 10]
        assert (read_seq, unread(counted, "bob", read_seq)) == (read_seq, len(newest))
        assert (read_seq, unread(counted, "ann", read_seq)) == (read_seq, len([seq for seq in newest if seq % 3]))


def test_each_conversation_has_a_count_of_its_own(counted: Engine) -> None:
    members.create_conversation(counted, "empty", "bob", title=None, others=[], now=timestamp())
    found = {view.id: view.unread_count for view in list_conversations(counted, "bob")}
    assert found == {"c": 450, "empty": 0}
    assert list_conversations(counted, "nobody") == []


def test_what_is_listed_is_of_one_moment(counted: Engine) -> None:
    # Given bob, who is removed while his conversations are being listed
    def remove(_connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "count(" in statement:
            members.remove_member(counted, "c", "bob", by="ann", allow=lambda _role: None)

    event.listen(counted, "before_cursor_execute", remove)
    assert [view.unread_count for view in list_conversations(counted, "bob")] == [450]
    assert list_conversations(counted, "bob") == []
