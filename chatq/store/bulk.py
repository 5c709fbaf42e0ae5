"""Writing many rows at once, each database in its fastest way.

Statements are sent by the driver itself, inside SQLAlchemy's transaction: for hundreds of rows a batch,
building each row's parameters costs as much as the database does. On Postgres, statements that need no
answer share one round trip.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import CompoundSelect, Connection, Dialect, Select, Table
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from psycopg import Connection as Driver

COPY_FROM = 8
"""From so many rows on, Postgres's COPY is faster than INSERT; for fewer its extra round trips are not worth it."""

Rows = Sequence[Mapping[str, Any]]
Statement = Select[Any] | CompoundSelect[Any]
Write = tuple[str, Rows]
"""A statement, with parameters written ``:name``, that is run for each row."""


def fetch(connection: Connection, statement: Statement, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run one of the statements that every batch runs, and return its rows; times on Postgres are ``datetime``.

    ``statement`` must be the same object each time.

    Raises:
        DBAPIError: the database objects.
    """
    driver = _driver_of_postgres(connection)
    if driver is None:
        return [dict(row) for row in connection.execute(statement, parameters).mappings()]
    from psycopg.rows import dict_row  # noqa: PLC0415  # heavy

    with _translated(connection, driver), driver.cursor(row_factory=dict_row) as cursor:
        return list(cursor.execute(_compiled(statement, connection.dialect), parameters))


def write_all(connection: Connection, writes: Sequence[Write]) -> None:
    """Run statements in one go.

    Raises:
        DBAPIError: the database objects to one of them.
    """
    driver = _driver_of_postgres(connection)
    if driver is None:
        for statement, rows in writes:
            connection.exec_driver_sql(statement, list(rows))
    elif writes:
        with _translated(connection, driver):
            _pipe(driver, writes)
            # psycopg ends a pipeline with a Flush behind its Sync, after which Postgres does not bound the idle time
            # in the transaction: a process that hung before COMMIT would keep its locks for ever. A plain query, even
            # an empty one, makes it do so again.
            driver.execute("")


def commit_with(connection: Connection, writes: Sequence[Write]) -> None:
    """Run statements and, on Postgres, commit in the same round trip; elsewhere SQLAlchemy's transaction does it.

    Raises:
        DBAPIError: the database objects to one of them.
    """
    driver = _driver_of_postgres(connection)
    if driver is None:
        write_all(connection, writes)
    else:
        with _translated(connection, driver):
            _pipe(driver, [*_together(writes), ("COMMIT", [{}])])


def _together(writes: Sequence[Write]) -> Sequence[Write]:
    """Return one statement for several that write a row each, if they may run in any order; else these.

    For a message that comes alone, a statement costs more than its row.
    """
    statements = tuple(statement for statement, _ in writes)
    if len(writes) < 2 or any(len(rows) > 1 for _, rows in writes) or not _are_apart(statements):
        return writes
    row = {f"{name}_{at}": value for at, (_, [values]) in enumerate(writes) for name, value in values.items()}
    return [(_joined(statements), [row])]


@functools.cache
def _are_apart(statements: tuple[str, ...]) -> bool:
    """Tell whether each writes another table: parts of one statement do not see what the others write."""
    tables = [re.match(r"(?:INSERT INTO|UPDATE) (\w+)", statement) for statement in statements]
    return len({table[1] for table in tables if table}) == len(statements)


@functools.cache
def _joined(statements: tuple[str, ...]) -> str:
    *others, last = (re.sub(r":(\w+)", rf":\1_{at}", statement) for at, statement in enumerate(statements))
    return f"WITH {', '.join(f'part_{at} AS ({other})' for at, other in enumerate(others))} {last}"


def _pipe(driver: Driver[Any], writes: Sequence[Write]) -> None:
    with driver.pipeline(), driver.cursor() as cursor:
        for statement, rows in writes:
            if len(rows) == 1:
                cursor.execute(_psycopg_style(statement), rows[0])
            else:
                cursor.executemany(_psycopg_style(statement), rows)


def copy_rows(connection: Connection, table: Table, rows: Rows) -> bool:
    """Insert rows that all have the same columns by COPY, if that is the best way; tell whether it was.

    Raises:
        DBAPIError: the database objects.
    """
    driver = _driver_of_postgres(connection)
    if driver is None or len(rows) < COPY_FROM:
        return False
    names = list(rows[0])
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
    with _translated(connection, driver), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for values in map(itemgetter(*names), rows):
            copy.write_row(values)
    return True


def insert_statement(table: Table, row: Mapping[str, Any]) -> str:
    """Return the INSERT for rows with the columns of ``row``."""
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({values})"  # noqa: S608  # names of tables.py


@functools.cache
def _compiled(statement: Statement, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


@functools.cache
def _psycopg_style(statement: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", statement)


def _driver_of_postgres(connection: Connection) -> Driver[Any] | None:
    """Return psycopg's connection; None on SQLite, where psycopg need not be imported."""
    if connection.dialect.name != "postgresql":
        return None
    return cast("Driver[Any]", connection.connection.driver_connection)


@contextmanager
def _translated(connection: Connection, driver: Driver[Any]) -> Iterator[None]:
    """Turn psycopg's errors into SQLAlchemy's, as SQLAlchemy does for statements of its own."""
    from psycopg import Error  # noqa: PLC0415  # heavy

    try:
        yield
    except Error as error:
        gone = driver.closed
        if gone:
            connection.invalidate(error)
        raise DBAPIError(str(error), None, error, connection_invalidated=gone) from error
