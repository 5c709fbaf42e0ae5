"""Conditions that a column is among many values, each database in its way, with one parameter however many."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Text, any_, bindparam, cast, func, select

from chatq.domain.wire import encode


def listed(dialect: str, column: Column[Any], name: str = "ids") -> ColumnElement[bool]:
    """Return the condition that ``column`` is among the parameter ``name``; see :func:`as_list`."""
    if dialect == "postgresql":
        return column == any_(cast(bindparam(name, type_=Text), ARRAY(Text)))
    # One parameter however many ids: SQLite bounds the number of parameters.
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value")
    return column.in_(select(each.c.value))


def as_list(connection: Connection, ids: Collection[str], name: str = "ids") -> dict[str, Any]:
    """Return the parameters of a statement with :func:`listed`."""
    if connection.dialect.name != "postgresql":
        return {name: encode(sorted(ids)).decode()}
    # An array as Postgres reads it: psycopg's way there takes several times as long.
    quoted = '","'.join(sorted(ids))
    if "\\" in quoted or quoted.count('"') != 2 * (len(ids) - 1):
        quoted = '","'.join(id_.replace("\\", r"\\").replace('"', r"\"") for id_ in sorted(ids))
    return {name: f'{{"{quoted}"}}' if ids else "{}"}
