"""Engines for the databases of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from chatq.store import schema
from chatq.store.engine import create_engine


def open_engine(database_url: str, *, full_sync: bool = True) -> Engine:
    """Return an engine for a database, named as in ``DATABASE_URL``."""
    return create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"), full_sync=full_sync)


@contextmanager
def set_up(database_url: str, *, full_sync: bool = True) -> Iterator[Engine]:
    """Give a database chatq's tables, and yield an engine for it."""
    engine = open_engine(database_url, full_sync=full_sync)
    schema.upgrade(engine)
    yield engine
    engine.dispose()
