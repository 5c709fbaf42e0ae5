"""The installation's id: which database a Redis belongs to."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Engine, insert, select

from chatq.store.engine import reading, writing
from chatq.store.tables import installation


def installation_id(engine: Engine) -> str:
    """Return the database's installation id; the first caller gives it one.

    Raises:
        DatabaseUnavailable: the database does not answer.
        DatabaseOutOfDate: its schema is not set up.
    """
    with reading(engine) as connection:
        found = connection.execute(select(installation.c.id)).scalars().first()
    if found is not None:
        return str(found)
    with writing(engine) as connection:
        # The table holds one row: whoever comes second finds the first one's.
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE installation IN EXCLUSIVE MODE")
        found = connection.execute(select(installation.c.id)).scalars().first()
        if found is None:
            found = str(uuid4())
            connection.execute(insert(installation), {"id": found})
    return str(found)
