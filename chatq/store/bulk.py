"""Inserting many rows at once, each database in its fastest way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

COPY_FROM = 8
"""From so many rows on, Postgres's COPY is faster than INSERT; for fewer its extra round trip is not worth it."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns.

    Statements are sent by the driver itself: for hundreds of rows a batch, building each row's parameters
    costs as much as the database does.

    Raises:
        DBAPIError: the database objects.
    """
    if not rows:
        return
    names = list(rows[0])
    values = list(map(itemgetter(*names), rows))
    columns = ", ".join(names)
    if connection.dialect.name == "postgresql" and len(rows) >= COPY_FROM:
        _copy(connection, f"COPY {table.name} ({columns}) FROM STDIN", values)  # names of tables.py
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(names))
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", values)  # noqa: S608


def _copy(connection: Connection, statement: str, values: Sequence[Sequence[Any]]) -> None:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("COPY is psycopg's")
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in values:
                copy.write_row(row)
    except psycopg.Error as error:
        # What SQLAlchemy does for statements of its own.
        gone = driver.closed
        if gone:
            connection.invalidate(error)
        raise DBAPIError(statement, None, error, connection_invalidated=gone) from error
