"""What a batch writes after it was applied, and the record of failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, select, text, update

from chatq.store.bulk import insert_rows
from chatq.store.ledger import Conversation, Ledger
from chatq.store.tables import conversations, events, messages

_NEW_MEMBER = text(
    "INSERT INTO members (conversation_id, user_id, joined_at) VALUES (:conversation_id, :user_id, :joined_at) "
    "ON CONFLICT (conversation_id, user_id) DO NOTHING"
)
_MEMBER_MARKS = text(
    "INSERT INTO members (conversation_id, user_id, joined_at, delivered_seq, read_seq) "
    "VALUES (:conversation_id, :user_id, :joined_at, :delivered_seq, :read_seq) "
    "ON CONFLICT (conversation_id, user_id) DO UPDATE "
    "SET delivered_seq = excluded.delivered_seq, read_seq = excluded.read_seq"
)
_CHANGED_MESSAGE = (
    update(messages)
    .where(messages.c.id == bindparam("message"))
    .values(
        content=bindparam("new_content"),
        metadata=bindparam("new_metadata"),
        edited_at=bindparam("new_edited_at"),
        deleted_at=bindparam("new_deleted_at"),
    )
)
_CHANGED_EVENT = (
    update(events)
    .where(events.c.conversation_id == bindparam("in_conversation"), events.c.seq == bindparam("at"))
    .values(payload=bindparam("new_payload"))
)
_CHANGED_CONVERSATION = (
    update(conversations)
    .where(conversations.c.id == bindparam("conversation"))
    .values(
        last_seq=bindparam("new_seq"),
        last_message_id=bindparam("new_message_id"),
        last_message=bindparam("new_message"),
        last_message_at=bindparam("new_message_at"),
    )
)
_RANK = case({"sent": 0, "delivered": 1, "read": 2}, value=messages.c.status)
_STATUS = (
    update(messages)
    .where(
        messages.c.conversation_id == bindparam("in_conversation"),
        messages.c.seq > bindparam("above"),
        messages.c.seq <= bindparam("up_to"),
        messages.c.sender_id != bindparam("not_by"),
        case({"sent": 0, "delivered": 1, "read": 2}, value=bindparam("new_status")) > _RANK,
    )
    .values(status=bindparam("new_status"))
)
_LAST_MESSAGE = (
    select(messages.c.id, messages.c.content, messages.c.created_at)
    .where(messages.c.conversation_id == bindparam("conversation"), messages.c.deleted_at.is_(None))
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_FAILURE = text(
    "INSERT INTO failures (job_id, message_id, conversation_id, sender_id, reason, created_at) "
    "VALUES (:job_id, :message_id, :conversation_id, :sender_id, :reason, :created_at) "
    "ON CONFLICT (job_id) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at, "
    "resolved_at = NULL"
)


def save(connection: Connection, ledger: Ledger) -> None:
    """Write everything that a batch changed."""
    insert_rows(connection, messages, list(ledger.new_messages.values()))
    insert_rows(connection, events, list(ledger.new_events.values()))
    _many(connection, _CHANGED_MESSAGE, list(ledger.changed_messages.values()))
    _many(
        connection,
        _CHANGED_EVENT,
        [
            {"in_conversation": conversation, "at": seq, "new_payload": row["payload"]}
            for (conversation, seq), row in ledger.changed_events.items()
        ],
    )
    _many(connection, _STATUS, ledger.read_up_to)
    _many(connection, _NEW_MEMBER, list(ledger.new_members.values()))
    _many(connection, _MEMBER_MARKS, list(ledger.changed_members.values()))
    changed = [ledger.conversations[id_] for id_ in sorted(ledger.changed_conversations)]
    for conversation in changed:
        if conversation.recompute:
            _recompute_last_message(connection, conversation)
    _many(connection, _CHANGED_CONVERSATION, [_conversation_row(conversation) for conversation in changed])


def record_failures(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of ``failures``; a job that fails once more replaces its row."""
    _many(connection, _FAILURE, rows)


def _many(connection: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _recompute_last_message(connection: Connection, conversation: Conversation) -> None:
    row = connection.execute(_LAST_MESSAGE, {"conversation": conversation.id}).one_or_none()
    conversation.last_message_id = row.id if row else None
    conversation.last_message = row.content if row else None
    conversation.last_message_at = row.created_at if row else None


def _conversation_row(conversation: Conversation) -> dict[str, Any]:
    return {
        "conversation": conversation.id,
        "new_seq": conversation.last_seq,
        "new_message_id": conversation.last_message_id,
        "new_message": conversation.last_message,
        "new_message_at": conversation.last_message_at,
    }
