"""The schema's version: which one the database has, which one this code needs, and the way from one to the other.

Migrations are alembic's, in ``migrations/versions``. Their revisions are numbers of four digits, so that a
database that a newer chatq has migrated is told from one that is merely out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError

from chatq.errors import DatabaseError, DatabaseOutOfDate, DatabaseUnavailable
from chatq.store.engine import reading
from chatq.store.faults import first_line, translated

HEAD = "0001"
"""The revision of the schema that this code works with."""

MIGRATIONS = Path(__file__).parent / "migrations"

VERSION_TABLE = "chatq_schema"
"""Alembic's table, by a name of its own: an application that shares the database may use alembic too."""

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))

_LOCK = 0x63686174_71646200
"""Number of the Postgres advisory lock under which one process at a time migrates."""

_SQLITE_PATIENCE_MS = 60_000
"""How long a process waits on SQLite while another migrates."""


@dataclass(frozen=True, slots=True)
class Current:
    """Where the database's schema stands."""

    revision: str | None
    """The database's; None if it has no chatq tables."""
    head: str = HEAD
    """The one that this code works with."""

    @property
    def is_up_to_date(self) -> bool:
        """Whether this code can work with the database."""
        return self.revision == self.head

    @property
    def is_newer(self) -> bool:
        """Whether a later version of chatq has migrated the database."""
        return self.revision is not None and self.revision > self.head


def current(engine: Engine) -> Current:
    """Return the database's revision and the one that this code works with.

    Raises:
        DatabaseUnavailable: the database does not answer, or is none.
    """
    if (file := _sqlite_file(engine)) is not None and not file.exists():
        # Connecting would make it.
        return Current(None)
    with _named(engine), reading(engine) as connection:
        return Current(_revision(connection))


def check(engine: Engine) -> None:
    """Make sure that the schema is the one that this code works with.

    Raises:
        DatabaseOutOfDate: it is an older or a newer one; both are named.
        DatabaseUnavailable: the database does not answer, or is none.
    """
    found = current(engine)
    if not found.is_up_to_date:
        raise out_of_date(found)


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the schema to :data:`HEAD`, in one transaction; return the revisions before and after.

    Any number of processes may call this at once: one migrates, the others wait for it and find nothing to do.

    Raises:
        DatabaseOutOfDate: the database is at a revision that only a newer chatq knows; nothing is changed.
        DatabaseUnavailable: the database does not answer, is none, or cannot be written.
        DatabaseError: a migration failed, for example because it may not create tables; nothing is changed.
    """
    before = current(engine)
    if before.is_up_to_date:
        return HEAD, HEAD
    with _named(engine), _migrating(engine) as connection:
        before = Current(_revision(connection))
        if before.is_newer:
            raise out_of_date(before)
        if not before.is_up_to_date:
            try:
                _run_migrations(connection)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                reason = f"The migration to {HEAD} failed, and nothing is changed: {first_line(error)}"
                raise DatabaseError(reason) from error
    return before.revision, HEAD


def out_of_date(found: Current) -> DatabaseOutOfDate:
    """Return the error that says what is to be done about a schema that is not up to date."""
    if found.revision is None:
        return DatabaseOutOfDate("The database has no chatq tables yet: run `chatq db upgrade`.")
    if found.is_newer:
        return DatabaseOutOfDate(
            f"The database's schema is at revision {found.revision}, but this version of chatq works with "
            f"{found.head}: install the newer chatq that migrated it."
        )
    return DatabaseOutOfDate(
        f"The database's schema is at revision {found.revision}, but this version of chatq works with "
        f"{found.head}: run `chatq db upgrade`."
    )


def _sqlite_file(engine: Engine) -> Path | None:
    is_file = engine.dialect.name == "sqlite" and "uri" not in engine.url.query
    return Path(engine.url.database) if is_file and engine.url.database else None


@contextmanager
def _named(engine: Engine) -> Iterator[None]:
    """Say of which database an error is: these are the first words that a process hears of it."""
    try:
        yield
    except DatabaseUnavailable as error:
        url = engine.url.set(drivername=engine.dialect.name).render_as_string(hide_password=True)
        raise DatabaseUnavailable(f"{error.detail} ({url})") from error


def _revision(connection: Connection) -> str | None:
    if not sqlalchemy.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(select(_version.c.version_num))
    return revision


@contextmanager
def _migrating(engine: Engine) -> Iterator[Connection]:
    """Yield a connection, in a transaction, that alone may migrate, and whose statements may take their time."""
    with translated(), engine.connect() as connection:
        # Out of the pool, and closed at the end: what is set here is for this connection alone.
        connection.detach()
        if engine.dialect.name == "sqlite":
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_PATIENCE_MS}")
            cursor.close()
        with connection.execution_options(chatq_write=True).begin():
            if engine.dialect.name == "postgresql":
                for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection


def _run_migrations(connection: Connection) -> None:
    # Here and not above: every command asks for the revision, few migrate, and alembic takes a while to import.
    from alembic import command  # noqa: PLC0415  # see above
    from alembic.config import Config  # noqa: PLC0415  # see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
