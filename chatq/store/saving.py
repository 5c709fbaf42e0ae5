"""What a batch writes after it was applied, and the record of failures."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, select

from chatq.store.bulk import Rows, Write, copy_rows, insert_statement, write_all
from chatq.store.ledger import Ledger
from chatq.store.listed import as_list
from chatq.store.tables import events, messages
from chatq.store.work import Conversation

_NEW_MEMBER = (
    "INSERT INTO members (conversation_id, user_id, joined_at) VALUES (:conversation_id, :user_id, :joined_at) "
    "ON CONFLICT (conversation_id, user_id) DO NOTHING"
)
_MEMBER_MARKS = (
    "INSERT INTO members (conversation_id, user_id, joined_at, delivered_seq, read_seq) "
    "VALUES (:conversation_id, :user_id, :joined_at, :delivered_seq, :read_seq) "
    "ON CONFLICT (conversation_id, user_id) DO UPDATE "
    "SET delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq"
)
_CHANGED_MESSAGE = (
    "UPDATE messages SET content = :content, metadata = :metadata, edited_at = :edited_at, deleted_at = :deleted_at "
    "WHERE id = :id"
)
_CHANGED_EVENT = "UPDATE events SET payload = :payload WHERE conversation_id = :conversation_id AND seq = :seq"
_CHANGED_CONVERSATION = (
    "UPDATE conversations SET last_seq = :last_seq, last_message_id = :last_message_id, "
    "last_message = :last_message, last_message_at = :last_message_at WHERE id = :id"
)
_STATUS = (
    "UPDATE messages SET status = :status WHERE conversation_id = :conversation_id AND seq > :above AND seq <= :up_to "
    "AND sender_id <> :not_by AND (status = 'sent' OR (status = 'delivered' AND :status_again = 'read'))"
)
_FAILURE = (
    "INSERT INTO failures (job_id, message_id, conversation_id, sender_id, reason, created_at) "
    "VALUES (:job_id, :message_id, :conversation_id, :sender_id, :reason, :created_at) "
    "ON CONFLICT (job_id) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at, "
    "resolved_at = NULL"
)
_RESOLVED = "UPDATE failures SET resolved_at = :now WHERE job_id {listed} AND resolved_at IS NULL"
_LAST_MESSAGE = (
    select(messages.c.id, messages.c.content, messages.c.persisted_at)
    .where(messages.c.conversation_id == bindparam("conversation"), messages.c.deleted_at.is_(None))
    .order_by(messages.c.seq.desc())
    .limit(1)
)


def save(connection: Connection, ledger: Ledger, done: Collection[str]) -> list[Write]:
    """Write what a batch changed, and return what remains to be written before the commit.

    ``done`` are the ids of its jobs that did not fail.

    Raises:
        DBAPIError: the database objects to some row.
    """
    postgres = connection.dialect.name == "postgresql"
    new_messages, new_events = list(ledger.new_messages.values()), list(ledger.new_events.values())
    if copy_rows(connection, messages, new_messages):
        new_messages = []
    if copy_rows(connection, events, new_events):
        new_events = []
    changed = [ledger.conversations[id_] for id_ in sorted(ledger.changed_conversations)]
    writes: list[Write] = [
        (_CHANGED_MESSAGE, list(ledger.changed_messages.values())),
        (_CHANGED_EVENT, list(ledger.changed_events.values())),
        (_STATUS, ledger.read_up_to),
        (_NEW_MEMBER, list(ledger.new_members.values())),
        (_MEMBER_MARKS, list(ledger.changed_members.values())),
        (_CHANGED_CONVERSATION, [_row(conversation) for conversation in changed if not conversation.recompute]),
    ]
    if new_messages:
        writes.insert(0, (insert_statement(messages, new_messages[0]), new_messages))
    if new_events:
        writes.insert(1, (insert_statement(events, new_events[0]), new_events))
    if done and ledger.before.failures:
        resolved = _RESOLVED.format(listed="= ANY(:ids)" if postgres else "IN (SELECT value FROM json_each(:ids))")
        writes.append((resolved, [{"now": ledger.now} | as_list(connection, done)]))
    writes = [(statement, rows) for statement, rows in writes if rows]
    recomputed = [conversation for conversation in changed if conversation.recompute]
    if recomputed:
        write_all(connection, writes)
        for conversation in recomputed:
            _recompute_last_message(connection, conversation)
        writes = [(_CHANGED_CONVERSATION, [_row(conversation) for conversation in recomputed])]
    return writes


def failures_write(rows: Rows) -> list[Write]:
    """Return what writes rows of ``failures``; a job that fails once more replaces its row."""
    return [(_FAILURE, rows)] if rows else []


def _recompute_last_message(connection: Connection, conversation: Conversation) -> None:
    row = connection.execute(_LAST_MESSAGE, {"conversation": conversation.id}).one_or_none()
    conversation.last_message_id = row.id if row else None
    conversation.last_message = row.content if row else None
    conversation.last_message_at = row.persisted_at if row else None


def _row(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "last_seq": conversation.last_seq,
        "last_message_id": conversation.last_message_id,
        "last_message": conversation.last_message,
        "last_message_at": conversation.last_message_at,
    }
