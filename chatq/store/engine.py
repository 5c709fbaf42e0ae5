"""Engines: how chatq opens SQLite and Postgres, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, event

from chatq.store.faults import translated

STATEMENT_TIMEOUT_MS = 2500
"""Bound of one statement, and of waiting for a lock: below the lease of a lane, so that a transaction that
hangs is over before another worker takes the lane."""

_SESSION = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": STATEMENT_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT_MS,
    # psycopg reads times in this style only, and none that another zone's offset carries out of its calendar.
    "timezone": "UTC",
    "datestyle": "ISO",
    # Every query here goes by an index. Plans that the server keeps from the time when a table was small would read
    # all of it for each message later on.
    "enable_seqscan": "off",
}


def create_engine(database_url: str, *, full_sync: bool = True, pool_size: int = 5) -> Engine:
    """Return an engine for ``sqlite:///…`` or ``postgresql+psycopg://…``; nothing connects yet.

    ``full_sync`` makes a SQLite commit survive a power cut, not only a crash of the process. Errors do not quote what
    was to be stored: they go to logs, and people's messages do not belong there. What the URL of a
    Postgres says of its connections holds, but for the limits and formats of a session that chatq relies on.
    """
    if database_url.startswith("sqlite"):
        engine = sqlalchemy.create_engine(
            database_url,
            connect_args={"timeout": STATEMENT_TIMEOUT_MS / 1000, "check_same_thread": False},
            pool_size=pool_size,
            max_overflow=10,
            hide_parameters=True,
        )
        _prepare_sqlite(engine, full_sync=full_sync)
        return engine
    url = sqlalchemy.make_url(database_url)
    options = " ".join([*url.normalized_query.get("options", ()), *(f"-c {k}={v}" for k, v in _SESSION.items())])
    defaults = {"connect_timeout": 5, "application_name": "chatq"}
    return sqlalchemy.create_engine(
        url,
        connect_args={k: v for k, v in defaults.items() if k not in url.query} | {"options": options},
        pool_size=pool_size,
        max_overflow=20,
        pool_use_lifo=True,
        hide_parameters=True,
    )


def _prepare_sqlite(engine: Engine, *, full_sync: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own BEGIN comes late and breaks savepoints; SQLAlchemy's begin event sends ours.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
        connection.execute("PRAGMA cache_size = -16384")

    @event.listens_for(engine, "begin")
    def _begun(connection: sqlalchemy.Connection) -> None:
        write = connection.get_execution_options().get("chatq_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[sqlalchemy.Connection]:
    """Yield a connection in a transaction that writes: committed at the end, rolled back on an error.

    Raises:
        DatabaseUnavailable: the database does not answer, or did not answer in time.
        DatabaseOutOfDate: its schema is not set up.
    """
    with translated(), engine.connect() as connection:
        connection = connection.execution_options(chatq_write=True)
        with connection.begin():
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[sqlalchemy.Connection]:
    """Yield a connection whose reads see one state of the database.

    Raises:
        DatabaseUnavailable: the database does not answer, or did not answer in time.
        DatabaseOutOfDate: its schema is not set up.
    """
    with translated(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # By default each of its statements sees what was committed before itself.
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def asking(engine: Engine) -> Iterator[sqlalchemy.Connection]:
    """Yield a connection for one statement that reads: on Postgres without the round trips of a transaction's ends.

    Raises:
        DatabaseUnavailable: the database does not answer, or did not answer in time.
        DatabaseOutOfDate: its schema is not set up.
    """
    with translated(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def ping(engine: Engine) -> None:
    """Ask the database for an answer.

    Raises:
        DatabaseUnavailable: there is none.
    """
    with asking(engine) as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
