"""Ids of conversations, for whoever types one."""

from __future__ import annotations

from sqlalchemy import Engine, select

from chatq.store.engine import asking
from chatq.store.tables import conversations

MAX_FOUND = 200
_AFTER_ALL = "\x7f"
"""Sorts behind every character that an id may have."""


def find_conversation_ids(engine: Engine, beginning: str) -> list[str]:
    """Return the ids of conversations that begin so, sorted, :data:`MAX_FOUND` at most.

    Raises:
        DatabaseError: the database cannot be used.
    """
    query = (
        select(conversations.c.id)
        .where(conversations.c.id >= beginning, conversations.c.id < beginning + _AFTER_ALL)
        .order_by(conversations.c.id)
        .limit(MAX_FOUND)
    )
    with asking(engine) as connection:
        return list(connection.execute(query).scalars())
