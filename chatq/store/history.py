"""Messages as they are now: single ones, and pages of a conversation. Cursors are event numbers, never times."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, select

from chatq.domain.messages import Message
from chatq.store.engine import asking, reading
from chatq.store.listed import as_list, listed
from chatq.store.loading import to_message
from chatq.store.tables import conversations, messages


@dataclass(frozen=True, slots=True)
class Page:
    """A page of messages, oldest first, true at event number ``seq``."""

    messages: list[Message]
    next_before: int | None
    """Cursor of the page before this one, or None if this is the first."""
    next_after: int | None
    """Cursor of the page after this one, or None if this is the last."""
    seq: int


def find_message(engine: Engine, message_id: str) -> Message | None:
    """Return a message, or None.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        row = connection.execute(select(messages).where(messages.c.id == message_id)).one_or_none()
    return None if row is None else to_message(row)


def find_messages(engine: Engine, message_ids: Collection[str]) -> dict[str, Message]:
    """Return those of some messages that are stored, by their ids.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        query = select(messages).where(listed(connection.dialect.name, messages.c.id))
        rows = connection.execute(query, as_list(connection, message_ids)).all()
    return {row.id: to_message(row) for row in rows}


def read_page(
    engine: Engine, conversation_id: str, *, before: int | None = None, after: int | None = None, limit: int = 50
) -> Page:
    """Return a page of a conversation's messages: the newest, or those next to a cursor (exclusive).

    Raises:
        DatabaseError: the database cannot be used.
    """
    in_conversation = messages.c.conversation_id == conversation_id
    query = select(messages).where(in_conversation)
    if after is not None:
        query = query.where(messages.c.seq > after)
        if before is not None:
            query = query.where(messages.c.seq < before)
        query = query.order_by(messages.c.seq).limit(limit + 1)
    else:
        if before is not None:
            query = query.where(messages.c.seq < before)
        query = query.order_by(messages.c.seq.desc()).limit(limit + 1)
    with reading(engine) as connection:
        seq = connection.execute(
            select(conversations.c.last_seq).where(conversations.c.id == conversation_id)
        ).scalar_one_or_none()
        rows = connection.execute(query).all()
    more = len(rows) > limit
    found = [to_message(row) for row in rows[:limit]]
    if after is None:
        found.reverse()
        later = before is not None and bool(found)
        return Page(
            found,
            next_before=found[0].seq if more else None,
            next_after=found[-1].seq if later else None,
            seq=seq or 0,
        )
    earlier = bool(found) and after > 0
    return Page(
        found,
        next_before=found[0].seq if earlier else None,
        next_after=found[-1].seq if more else None,
        seq=seq or 0,
    )
