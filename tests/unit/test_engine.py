"""What a transaction sees."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, select, update

from chatq.domain.clock import timestamp
from chatq.store.engine import reading, writing
from chatq.store.members import create_conversation
from chatq.store.tables import conversations


def last_seq(connection: Connection) -> int:
    seq: int = connection.execute(select(conversations.c.last_seq)).scalar_one()
    return seq


def test_all_that_a_transaction_reads_is_of_one_moment(engine: Engine) -> None:
    create_conversation(engine, "c", "ann", title=None, others=[], now=timestamp())
    with reading(engine) as connection:
        assert last_seq(connection) == 0
        # As a page is read: the number at which it is true, then, after somebody has written on, its messages
        with writing(engine) as other:
            other.execute(update(conversations).values(last_seq=1))
        assert last_seq(connection) == 0
    with reading(engine) as connection:
        assert last_seq(connection) == 1
