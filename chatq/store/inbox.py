"""A user's conversations, as they are listed: what came last in each, and how much is unread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, case, func, select

from chatq.domain.messages import Message
from chatq.store.engine import reading
from chatq.store.listed import as_list, listed
from chatq.store.loading import to_message
from chatq.store.tables import conversations, members, messages

MAX_LISTED = 200
"""So many conversations are listed, the newest."""
UNREAD_AMONG = 500
"""Of so many messages, the newest of a conversation, those that a user has not read are counted."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as one user sees it in a list."""

    id: str
    title: str | None
    last_seq: int
    last_message: Message | None
    last_message_at: str | None
    unread_count: int
    """Messages of others above the user's ``read_seq``, among the newest :data:`UNREAD_AMONG` of the conversation."""
    created_at: str


def list_conversations(engine: Engine, user_id: str) -> list[ConversationView]:
    """Return the user's conversations, newest activity first.

    Raises:
        DatabaseError: the database cannot be used.
    """
    query = (
        select(conversations)
        .join(members, members.c.conversation_id == conversations.c.id)
        .where(members.c.user_id == user_id)
        .order_by(
            # Not NULLS LAST, which older SQLite does not know.
            case((conversations.c.last_message_at.is_(None), 1), else_=0),
            conversations.c.last_message_at.desc(),
            conversations.c.id,
        )
        .limit(MAX_LISTED)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
        ids = {row.last_message_id for row in rows if row.last_message_id}
        last = connection.execute(
            select(messages).where(listed(connection.dialect.name, messages.c.id)), as_list(connection, ids)
        )
        by_id = {row.id: to_message(row) for row in last}
        unread = _count_unread(connection, user_id, [row.id for row in rows])
    return [
        ConversationView(
            row.id,
            row.title,
            row.last_seq,
            by_id.get(row.last_message_id),
            row.last_message_at,
            unread[row.id],
            row.created_at,
        )
        for row in rows
    ]


def _count_unread(connection: Connection, user_id: str, conversation_ids: Collection[str]) -> dict[str, int]:
    newest = (
        select(messages.c.sender_id, messages.c.deleted_at)
        .where(messages.c.conversation_id == members.c.conversation_id, messages.c.seq > members.c.read_seq)
        .order_by(messages.c.seq.desc())
        .limit(UNREAD_AMONG)
        .correlate(members)
        .subquery()
    )
    unread = (
        select(func.count())
        .select_from(newest)
        .where(newest.c.sender_id != members.c.user_id, newest.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    query = select(members.c.conversation_id, unread.label("unread")).where(
        members.c.user_id == user_id, listed(connection.dialect.name, members.c.conversation_id)
    )
    counts = connection.execute(query, as_list(connection, conversation_ids))
    return {row.conversation_id: row.unread for row in counts}
