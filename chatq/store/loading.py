"""What a batch reads, and locks, before it is applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    select,
    text,
    union_all,
)

from chatq.domain.jobs import SendMessage, UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER, Message
from chatq.domain.wire import parse
from chatq.store.bulk import fetch
from chatq.store.fence import lock, to_conversation
from chatq.store.ledger import Ledger
from chatq.store.listed import as_list, listed
from chatq.store.tables import events, members, messages
from chatq.store.work import Stored, Watermarks, Work

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (id, created_at) VALUES (:id, :created_at) ON CONFLICT (id) DO NOTHING"
)


def load(connection: Connection, ledger: Ledger, works: Sequence[Work], *, thorough: bool) -> None:
    """Fill the ledger with everything that these jobs touch, and lock those conversations that it does not have yet.

    A new message is only looked for if another job may have made it. Whether one did is known from the job's id,
    unless the message was made by a job of another id; ``thorough`` looks for those as well.
    """
    wanted = {
        work.message_id
        for work in works
        if work.job_id not in ledger.before.applied
        and (
            thorough
            or work.message_id != work.job_id
            or not isinstance(work.job, SendMessage)
            or work.job_id in ledger.before.others
        )
    }
    _load_messages(connection, ledger, wanted)
    sends = [work.job for work in works if isinstance(work.job, SendMessage) and not work.expired]
    touched = {job.conversation_id for job in sends}
    touched.update(stored.message.conversation_id for stored in ledger.messages.values())
    to_make = {job.conversation_id for job in sends if job.joins is not False}
    _lock_conversations(connection, ledger, touched, to_make)
    _load_marks(connection, ledger, works)


def _load_messages(connection: Connection, ledger: Ledger, ids: set[str]) -> None:
    if not ids:
        return
    query = select(messages).where(listed(connection.dialect.name, messages.c.id))
    for row in connection.execute(query, as_list(connection, ids)):
        ledger.messages[row.id] = Stored(to_message(row), new=False)
    if not ledger.messages:
        return
    here = and_(events.c.conversation_id == messages.c.conversation_id, events.c.seq == messages.c.seq)
    content = union_all(
        select(events).join(messages, here).where(listed(connection.dialect.name, messages.c.id)),
        select(events).where(
            listed(connection.dialect.name, events.c.message_id), text("events.type = 'messageEdited'")
        ),
    )
    for event in connection.execute(content, as_list(connection, set(ledger.messages))).mappings():
        stored = dict(event)
        ledger.messages[event["message_id"]].events.append(stored)
        if (published := ledger.before.applied.get(event["job_id"])) is not None:
            # One and the same row, so that it is published as it will be stored.
            published.row = stored


def _lock_conversations(connection: Connection, ledger: Ledger, wanted: set[str], to_make: set[str]) -> None:
    """Lock those of the wanted conversations that exist, and make those of ``to_make`` that do not."""

    def lock_all(ids: set[str]) -> None:
        for row in fetch(connection, lock(connection.dialect.name), as_list(connection, ids)):
            ledger.conversations[row["id"]] = to_conversation(row)

    if unlocked := wanted - ledger.conversations.keys():
        lock_all(unlocked)
    missing = to_make - ledger.conversations.keys()
    if missing:
        rows = [{"id": id_, "created_at": ledger.now} for id_ in sorted(missing)]
        connection.execute(_NEW_CONVERSATION, rows)
        lock_all(missing)
        ledger.unborn |= missing


def _load_marks(connection: Connection, ledger: Ledger, works: Sequence[Work]) -> None:
    """Load the watermarks of the users whose jobs move them."""
    wanted = {
        (ledger.messages[work.message_id].message.conversation_id, work.job.user_id or DEVELOPMENT_USER)
        for work in works
        if isinstance(work.job, UpdateMessageStatus) and work.message_id in ledger.messages
    } | {(job.conversation_id, status.user_id or DEVELOPMENT_USER) for job, status in _marked_in_this_batch(works)}
    if not wanted:
        return
    query = select(members.c.conversation_id, members.c.user_id, members.c.delivered_seq, members.c.read_seq).where(
        listed(connection.dialect.name, members.c.conversation_id),
        listed(connection.dialect.name, members.c.user_id, "users"),
    )
    parameters = as_list(connection, {conversation for conversation, _ in wanted})
    parameters |= as_list(connection, {user for _, user in wanted}, "users")
    for row in connection.execute(query, parameters):
        ledger.members[row.conversation_id, row.user_id] = Watermarks(row.delivered_seq, row.read_seq)


def _marked_in_this_batch(works: Sequence[Work]) -> list[tuple[SendMessage, UpdateMessageStatus]]:
    """Pair the messages that are new in this batch with the marks that the same batch sets on them."""
    sends = {work.message_id: work.job for work in works if isinstance(work.job, SendMessage)}
    marks = ((work.message_id, work.job) for work in works if isinstance(work.job, UpdateMessageStatus))
    return [(sends[message_id], job) for message_id, job in marks if message_id in sends]


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
