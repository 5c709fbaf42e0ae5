"""What a batch reads, and locks, before it is applied."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Text,
    and_,
    any_,
    bindparam,
    func,
    select,
    text,
)

from chatq.domain.jobs import SendMessage, UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER, Message
from chatq.domain.wire import encode, parse
from chatq.store.ledger import Conversation, Ledger, Member, Published, Stored, Work
from chatq.store.tables import conversations, events, members, messages

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (id, created_at) VALUES (:id, :created_at) ON CONFLICT (id) DO NOTHING"
)
_WITH_CONTENT = ("newMessage", "messageEdited")


def load(connection: Connection, ledger: Ledger, works: Sequence[Work]) -> None:
    """Fill the ledger with everything that these jobs touch, their conversations locked in the order of ids."""
    _load_applied(connection, ledger, works)
    _load_messages(connection, ledger, {work.message_id for work in works})
    wanted = {work.job.conversation_id for work in works if isinstance(work.job, SendMessage)}
    wanted.update(stored.message.conversation_id for stored in ledger.messages.values())
    _lock_conversations(connection, ledger, wanted)
    _load_members(connection, ledger, works)


def listed(connection: Connection, column: Column[Any], name: str = "ids") -> ColumnElement[bool]:
    """Return the condition that ``column`` is among the parameter ``name``; see :func:`as_list`."""
    if connection.dialect.name == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(Text)))
    # One parameter however many ids: SQLite bounds the number of parameters.
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value")
    return column.in_(select(each.c.value))


def as_list(connection: Connection, ids: Collection[str], name: str = "ids") -> dict[str, Any]:
    """Return the parameters of a statement with :func:`listed`."""
    return {name: sorted(ids) if connection.dialect.name == "postgresql" else encode(sorted(ids)).decode()}


def _load_applied(connection: Connection, ledger: Ledger, works: Sequence[Work]) -> None:
    query = select(events.c.job_id, events.c.conversation_id, events.c.payload).where(
        listed(connection, events.c.job_id)
    )
    for row in connection.execute(query, as_list(connection, {work.job_id for work in works})):
        ledger.applied[row.job_id] = Published(row.conversation_id, row.payload)


def _load_messages(connection: Connection, ledger: Ledger, ids: set[str]) -> None:
    query = select(messages).where(listed(connection, messages.c.id))
    for row in connection.execute(query, as_list(connection, ids)):
        ledger.messages[row.id] = Stored(to_message(row), new=False)
    if not ledger.messages:
        return
    content = select(events).where(and_(listed(connection, events.c.message_id), events.c.type.in_(_WITH_CONTENT)))
    for event in connection.execute(content, as_list(connection, set(ledger.messages))).mappings():
        ledger.messages[event["message_id"]].events.append(dict(event))


def _lock_conversations(connection: Connection, ledger: Ledger, wanted: set[str]) -> None:
    query = (
        select(conversations)
        .where(listed(connection, conversations.c.id))
        .order_by(conversations.c.id)
        .with_for_update()
    )

    def lock(ids: set[str]) -> None:
        for row in connection.execute(query, as_list(connection, ids)):
            ledger.conversations[row.id] = Conversation(
                row.id, row.last_seq, row.last_message_id, row.last_message, row.last_message_at
            )

    if not wanted:
        return
    lock(wanted)
    missing = wanted - ledger.conversations.keys()
    if missing:
        rows = [{"id": id_, "created_at": ledger.now} for id_ in sorted(missing)]
        connection.execute(_NEW_CONVERSATION, rows)
        lock(missing)


def _load_members(connection: Connection, ledger: Ledger, works: Sequence[Work]) -> None:
    users = {
        work.job.user_id or DEVELOPMENT_USER
        for work in works
        if isinstance(work.job, UpdateMessageStatus) and work.message_id in ledger.messages
    }
    users |= {
        work.job.message_data.sender_id or DEVELOPMENT_USER for work in works if isinstance(work.job, SendMessage)
    }
    if not users or not ledger.conversations:
        return
    query = select(members.c.conversation_id, members.c.user_id, members.c.delivered_seq, members.c.read_seq).where(
        listed(connection, members.c.conversation_id), listed(connection, members.c.user_id, "users")
    )
    parameters = as_list(connection, set(ledger.conversations)) | as_list(connection, users, "users")
    for row in connection.execute(query, parameters):
        ledger.members[row.conversation_id, row.user_id] = Member(row.delivered_seq, row.read_seq)


def to_message(row: Any) -> Message:
    """Return a row of ``messages`` as clients see it."""
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        sender_id=row.sender_id,
        client_message_id=row.client_message_id,
        content=row.content,
        metadata=None if row.metadata is None else parse(row.metadata),
        status=row.status,
        created_at=row.created_at,
        persisted_at=row.persisted_at,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )
