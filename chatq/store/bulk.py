"""Writing many rows at once, each database in its fastest way.

Statements are sent by the driver itself, inside SQLAlchemy's transaction: for hundreds of rows a batch,
building each row's parameters costs as much as the database does. On Postgres, statements that need no
answer share one round trip.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

COPY_FROM = 8
"""From so many rows on, Postgres's COPY is faster than INSERT; for fewer its extra round trips are not worth it."""

Rows = Sequence[Mapping[str, Any]]
ExecuteMany = Callable[[str, Rows], None]
"""Runs a statement, with parameters written ``:name``, for each row; nothing happens without rows."""


@contextmanager
def together(connection: Connection) -> Iterator[ExecuteMany]:
    """Yield a function whose statements are all done when the block ends.

    Raises:
        DBAPIError: the database objects to one of them.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):

        def execute(statement: str, rows: Rows) -> None:
            if rows:
                connection.exec_driver_sql(statement, list(rows))

        yield execute
        return
    with _translated(connection, driver):
        with driver.pipeline(), driver.cursor() as cursor:

            def execute_piped(statement: str, rows: Rows) -> None:
                if rows:
                    cursor.executemany(_psycopg_style(statement), rows)

            yield execute_piped
        # psycopg ends a pipeline with a Flush behind its Sync, after which Postgres does not bound the idle time in
        # the transaction: a process that hung before COMMIT would keep its locks for ever. A plain query, even an
        # empty one, makes it do so again.
        driver.execute("")


def copy_rows(connection: Connection, table: Table, rows: Rows) -> bool:
    """Insert rows that all have the same columns by COPY, if that is the best way; tell whether it was.

    Raises:
        DBAPIError: the database objects.
    """
    driver = connection.connection.driver_connection
    if len(rows) < COPY_FROM or not isinstance(driver, psycopg.Connection):
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
def _psycopg_style(statement: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", statement)


@contextmanager
def _translated(connection: Connection, driver: psycopg.Connection[Any]) -> Iterator[None]:
    """Turn psycopg's errors into SQLAlchemy's, as SQLAlchemy does for statements of its own."""
    try:
        yield
    except psycopg.Error as error:
        gone = driver.closed
        if gone:
            connection.invalidate(error)
        raise DBAPIError(str(error), None, error, connection_invalidated=gone) from error
