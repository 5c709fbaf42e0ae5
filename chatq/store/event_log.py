"""The log of a conversation's events: what every follower gets, and gets again after it was away."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, select

from chatq.store.engine import asking, reading
from chatq.store.listed import as_list, listed
from chatq.store.tables import conversations, events


@dataclass(frozen=True, slots=True)
class Replay:
    """A conversation's events after a cursor, as their frames."""

    payloads: list[str]
    last_seq: int
    """The conversation's newest event number; 0 if it does not exist yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which events of a conversation are kept."""

    first_seq: int
    """The lowest number."""
    last_seq: int
    """The highest; 0 if there is none yet."""


def replay(engine: Engine, conversation_id: str, since: int, limit: int) -> Replay:
    """Return the frames of the events after ``since``, ``limit`` at most, in order.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with reading(engine) as connection:
        last_seq = connection.execute(
            select(conversations.c.last_seq).where(conversations.c.id == conversation_id)
        ).scalar_one_or_none()
        if last_seq is None or since >= last_seq:
            return Replay([], last_seq or 0)
        return Replay(_payloads(connection, conversation_id, since, limit), last_seq)


def payloads_after(engine: Engine, conversation_id: str, since: int, limit: int) -> list[str]:
    """Return the frames of the events after ``since``, ``limit`` at most, in order.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        return _payloads(connection, conversation_id, since, limit)


def _payloads(connection: Connection, conversation_id: str, since: int, limit: int) -> list[str]:
    parameters = {"conversation": conversation_id, "since": since, "limit": limit}
    return list(connection.execute(_PAYLOADS, parameters).scalars())


def find_kept(engine: Engine, conversation_ids: Collection[str]) -> dict[str, Kept]:
    """Return which events of each of these conversations are kept.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        rows = connection.execute(_kept(connection.dialect.name), as_list(connection, conversation_ids))
        found = {id_: Kept(first_seq, last_seq) for id_, first_seq, last_seq in rows}
    return {id_: found.get(id_, Kept(1, 0)) for id_ in conversation_ids}


def last_seqs(engine: Engine, conversation_ids: Collection[str]) -> dict[str, int]:
    """Return the newest event number of each of these conversations; 0 for one that does not exist yet.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        query = select(conversations.c.id, conversations.c.last_seq).where(
            listed(connection.dialect.name, conversations.c.id)
        )
        found = {row.id: row.last_seq for row in connection.execute(query, as_list(connection, conversation_ids))}
    return {id_: found.get(id_, 0) for id_ in conversation_ids}


# What every join asks is built once: building it costs as much as running it.
_PAYLOADS = (
    select(events.c.payload)
    .where(events.c.conversation_id == bindparam("conversation"), events.c.seq > bindparam("since"))
    .order_by(events.c.seq)
    .limit(bindparam("limit"))
)


@functools.cache
def _kept(dialect: str) -> Select[Any]:
    return select(conversations.c.id, conversations.c.first_seq, conversations.c.last_seq).where(
        listed(dialect, conversations.c.id)
    )
