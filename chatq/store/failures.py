"""Messages that never came to be: why, and whether their senders were told."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, select, update

from chatq.store.engine import asking, reading, writing
from chatq.store.listed import as_list, listed
from chatq.store.tables import failures

AT_ONCE = 100
"""So many failures are told at once."""


@dataclass(frozen=True, slots=True)
class LostMessage:
    """Why a message never came to be."""

    reason: str
    conversation_id: str
    sender_id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that failed, for its sender."""

    job_id: str
    message_id: str
    reason: str


def find_failure(engine: Engine, message_id: str) -> LostMessage | None:
    """Return why the message that never came to be failed; of a message that is stored, this says nothing.

    Raises:
        DatabaseError: the database cannot be used.
    """
    query = (
        select(failures.c.reason, failures.c.conversation_id, failures.c.sender_id)
        # Jobs about a message fail as well; those that make one have a sender.
        .where(failures.c.message_id == message_id, failures.c.sender_id.is_not(None))
        .order_by(failures.c.created_at.desc())
        .limit(1)
    )
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else LostMessage(*row)


def have_pending_failures(engine: Engine, user_ids: Collection[str]) -> dict[str, bool]:
    """Tell of each of these users whether :func:`pending_failures` are there.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        rows = connection.execute(_with_failures(connection.dialect.name), as_list(connection, user_ids))
        found = set(rows.scalars())
    return {id_: id_ in found for id_ in user_ids}


def pending_failures(engine: Engine, user_id: str) -> list[Failure]:
    """Return the failures of a user's messages of which the user was not told yet, oldest first.

    Raises:
        DatabaseError: the database cannot be used.
    """
    query = (
        select(failures.c.job_id, failures.c.message_id, failures.c.reason)
        .where(failures.c.sender_id == user_id, failures.c.resolved_at.is_(None), failures.c.message_id.is_not(None))
        .order_by(failures.c.created_at)
        .limit(AT_ONCE)
    )
    with reading(engine) as connection:
        return [Failure(*row) for row in connection.execute(query)]


def resolve_failures(engine: Engine, job_ids: Collection[str], now: str) -> None:
    """Record that the senders were told of these failures.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with writing(engine) as connection:
        statement: Any = (
            update(failures).where(listed(connection.dialect.name, failures.c.job_id)).values(resolved_at=now)
        )
        connection.execute(statement, as_list(connection, job_ids))


# What every `auth` asks is built once: building it costs as much as running it.
@functools.cache
def _with_failures(dialect: str) -> Select[Any]:
    return (
        select(failures.c.sender_id)
        .distinct()
        .where(
            listed(dialect, failures.c.sender_id),
            failures.c.resolved_at.is_(None),
            failures.c.message_id.is_not(None),
        )
    )
