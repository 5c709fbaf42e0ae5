"""What databases say when something is wrong, and what chatq calls it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chatq.errors import DatabaseError, DatabaseOutOfDate, DatabaseUnavailable

_UNDEFINED_TABLE = "42P01"
_REFUSALS = ("25006", "42501")
"""What a server says that answers, but lets nobody write: a standby, or rights that are missing. No job's fault.
Errors of Postgres are known by their SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_PERHAPS_A_JOB_S = ("57014", "55P03", "53200", "54")
"""How the SQLSTATE of an outage begins that one job alone may bring about: it takes too long, waits for a lock for too
long, needs too much memory, or goes beyond another limit of the server's."""
_PERHAPS_A_JOB_S_ON_SQLITE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOMEM)
"""https://www.sqlite.org/rescode.html: not a full disk, a lock, or a file that is read-only or damaged."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the outages of SQLAlchemy and its drivers into chatq's errors; faults of data pass unchanged."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(f"No database connection became free: {error}") from error
    except DBAPIError as error:
        if is_missing_table(error):
            raise DatabaseOutOfDate("The database has no chatq tables yet: run `chatq db upgrade`.") from error
        if is_outage(error):
            what = "refuses" if _sqlstate(error) in _REFUSALS else "does not answer"
            raise DatabaseUnavailable(f"The database {what}: {first_line(error)}") from error
        raise


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether the statement named a table that is not there."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return isinstance(cause, sqlite3.OperationalError) and "no such table" in str(cause)
    return _sqlstate(error) == _UNDEFINED_TABLE


def is_outage(error: DBAPIError) -> bool:
    """Tell whether the database is at fault, rather than what was asked of it."""
    cause = error.orig
    if error.connection_invalidated:
        return True
    if isinstance(cause, sqlite3.Error):
        fitting = isinstance(cause, sqlite3.OperationalError | sqlite3.InterfaceError)
        return fitting or type(cause) is sqlite3.DatabaseError
    # Whoever uses SQLite need not wait until it is imported.
    import psycopg  # noqa: PLC0415  # heavy

    if not isinstance(cause, psycopg.Error):
        return False
    # What psycopg itself refuses to send, such as a NUL, has no state either.
    ours = isinstance(cause, psycopg.DataError | psycopg.ProgrammingError | psycopg.NotSupportedError)
    broken = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    return broken or cause.sqlstate in _REFUSALS or (cause.sqlstate is None and not ours)


def may_be_a_job_s(error: DatabaseError) -> bool:
    """Tell whether one job may have brought this outage about, which is not for all to wait for then."""
    cause = error.__cause__
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):
        code = getattr(cause.orig, "sqlite_errorcode", None)
        return code is None or code & 0xFF in _PERHAPS_A_JOB_S_ON_SQLITE
    return is_lost_connection(error) or (_sqlstate(cause) or "").startswith(_PERHAPS_A_JOB_S)


def is_lost_connection(error: DatabaseError) -> bool:
    """Tell whether a Postgres was gone, or its connection, without a word."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and not isinstance(cause.orig, sqlite3.Error) and _sqlstate(cause) is None


def _sqlstate(error: DBAPIError) -> str | None:
    """Return what Postgres calls an error; None where it did not say anything."""
    return getattr(error.orig, "sqlstate", None)


def first_line(error: BaseException) -> str:
    """Return the first line of the driver's own message, without SQLAlchemy's additions."""
    cause = getattr(error, "orig", None) or error
    text = str(cause).strip()
    return text.splitlines()[0] if text else type(cause).__name__
