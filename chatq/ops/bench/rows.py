"""What a run leaves in the database: counted, and removed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, delete, func, select

from chatq.store.engine import reading, writing
from chatq.store.tables import conversations, events, failures, members, messages

AT_ONCE = 2000
"""Events that are removed in one transaction: others get their turn in between."""


def count_events(engine: Engine, names: Sequence[str]) -> int:
    """Return how many events these conversations have together.

    Raises:
        DatabaseError: the database cannot be used.
    """
    query = select(func.coalesce(func.sum(conversations.c.last_seq), 0)).where(conversations.c.id.in_(names))
    with reading(engine) as connection:
        return int(connection.execute(query).scalar_one())


def remove_rows(engine: Engine, names: Sequence[str], at_once: int = AT_ONCE) -> None:
    """Remove all rows of these conversations, ``at_once`` at a time; may be repeated where it was cut off.

    Raises:
        DatabaseError: the database does not answer.
    """
    query = select(conversations.c.id, conversations.c.last_seq).where(conversations.c.id.in_(names))
    with reading(engine) as connection:
        found = connection.execute(query).all()
    for name, last_seq in found:
        for upper in range(at_once, last_seq + 1, at_once):
            with writing(engine) as connection:
                for table in (messages, events):
                    connection.execute(delete(table).where(table.c.conversation_id == name, table.c.seq <= upper))
    with writing(engine) as connection:
        for table in (messages, events, members, failures):
            connection.execute(delete(table).where(table.c.conversation_id.in_(names)))
        connection.execute(delete(conversations).where(conversations.c.id.in_(names)))
