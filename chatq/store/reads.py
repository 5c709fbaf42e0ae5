"""What the API, the sockets and the operators read. Cursors are event numbers, never times."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, case, func, select, text, update

from chatq.domain.messages import Message
from chatq.store.engine import asking, reading, writing
from chatq.store.listed import as_list, listed
from chatq.store.loading import to_message
from chatq.store.tables import conversations, events, failures, members, messages

UNREAD_AMONG = 500
"""Of so many messages, the newest of a conversation, those that a user has not read are counted."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """A conversation as one user sees it in a list."""

    id: str
    title: str | None
    last_seq: int
    last_message: Message | None
    last_message_at: str | None
    unread_count: int
    """Messages of others above the user's ``read_seq``, among the newest :data:`UNREAD_AMONG` of the conversation."""
    created_at: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of messages, oldest first, true at event number ``seq``."""

    messages: list[Message]
    next_before: int | None
    """Cursor of the page before this one, or None if this is the first."""
    next_after: int | None
    """Cursor of the page after this one, or None if this is the last."""
    seq: int


@dataclass(frozen=True, slots=True)
class JobTrace:
    """What the database tells of a job: the event that it made, or why it failed."""

    event_type: str | None
    reason: str | None
    ended_at: str
    conversation_id: str | None
    """None if it is not known: of a job that could not be read, or about a message that never was."""
    sender_id: str | None = None
    """Whose message never came to be; None if that is not what failed."""


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


def ping(engine: Engine) -> None:
    """Ask the database for an answer.

    Raises:
        DatabaseUnavailable: there is none.
    """
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))


def find_message(engine: Engine, message_id: str) -> Message | None:
    """Return a message, or None."""
    with reading(engine) as connection:
        row = connection.execute(select(messages).where(messages.c.id == message_id)).one_or_none()
    return None if row is None else to_message(row)


def find_messages(engine: Engine, message_ids: Collection[str]) -> dict[str, Message]:
    """Return those of some messages that are stored, by their ids."""
    with reading(engine) as connection:
        query = select(messages).where(listed(connection.dialect.name, messages.c.id))
        rows = connection.execute(query, as_list(connection, message_ids)).all()
    return {row.id: to_message(row) for row in rows}


def find_failure(engine: Engine, message_id: str) -> LostMessage | None:
    """Return why the message that never came to be failed; of a message that is stored, this says nothing."""
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


def find_job(engine: Engine, job_id: str) -> JobTrace | None:
    """Return what the database tells of a job that Redis keeps no longer, or None."""
    done = select(events.c.type, events.c.created_at, events.c.conversation_id).where(events.c.job_id == job_id)
    conversation_id = func.coalesce(failures.c.conversation_id, messages.c.conversation_id).label("conversation_id")
    failed = (
        select(failures.c.reason, failures.c.created_at, conversation_id, failures.c.sender_id)
        .select_from(failures.outerjoin(messages, messages.c.id == failures.c.message_id))
        .where(failures.c.job_id == job_id)
    )
    with reading(engine) as connection:
        if (row := connection.execute(done).one_or_none()) is not None:
            return JobTrace(row.type, None, row.created_at, row.conversation_id)
        if (why := connection.execute(failed).one_or_none()) is not None:
            return JobTrace(None, why.reason, why.created_at, why.conversation_id, why.sender_id)
    return None


def list_conversations(engine: Engine, user_id: str, limit: int = 200) -> list[ConversationView]:
    """Return the user's conversations, newest activity first."""
    query = (
        select(conversations)
        .join(members, members.c.conversation_id == conversations.c.id)
        .where(members.c.user_id == user_id)
        .order_by(
            # Not NULLS LAST, which older SQLite does not know.
            case((conversations.c.last_message_at.is_(None), 1), else_=0),
            conversations.c.last_message_at.desc(),
            conversations.c.id,
        )
        .limit(limit)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
        ids = {row.last_message_id for row in rows if row.last_message_id}
        last = connection.execute(
            select(messages).where(listed(connection.dialect.name, messages.c.id)), as_list(connection, ids)
        )
        by_id = {row.id: to_message(row) for row in last}
        unread = _count_unread(connection, user_id, [row.id for row in rows])
    return [
        ConversationView(
            row.id,
            row.title,
            row.last_seq,
            by_id.get(row.last_message_id),
            row.last_message_at,
            unread[row.id],
            row.created_at,
        )
        for row in rows
    ]


def _count_unread(connection: Connection, user_id: str, conversation_ids: Collection[str]) -> dict[str, int]:
    newest = (
        select(messages.c.sender_id, messages.c.deleted_at)
        .where(messages.c.conversation_id == members.c.conversation_id, messages.c.seq > members.c.read_seq)
        .order_by(messages.c.seq.desc())
        .limit(UNREAD_AMONG)
        .correlate(members)
        .subquery()
    )
    unread = (
        select(func.count())
        .select_from(newest)
        .where(newest.c.sender_id != members.c.user_id, newest.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    query = select(members.c.conversation_id, unread.label("unread")).where(
        members.c.user_id == user_id, listed(connection.dialect.name, members.c.conversation_id)
    )
    counts = connection.execute(query, as_list(connection, conversation_ids))
    return {row.conversation_id: row.unread for row in counts}


def read_page(
    engine: Engine, conversation_id: str, *, before: int | None = None, after: int | None = None, limit: int = 50
) -> Page:
    """Return a page of a conversation's messages: the newest, or those next to a cursor (exclusive)."""
    in_conversation = messages.c.conversation_id == conversation_id
    query = select(messages).where(in_conversation)
    if after is not None:
        query = query.where(messages.c.seq > after)
        if before is not None:
            query = query.where(messages.c.seq < before)
        query = query.order_by(messages.c.seq).limit(limit + 1)
    else:
        if before is not None:
            query = query.where(messages.c.seq < before)
        query = query.order_by(messages.c.seq.desc()).limit(limit + 1)
    with reading(engine) as connection:
        seq = connection.execute(
            select(conversations.c.last_seq).where(conversations.c.id == conversation_id)
        ).scalar_one_or_none()
        rows = connection.execute(query).all()
    more = len(rows) > limit
    found = [to_message(row) for row in rows[:limit]]
    if after is None:
        found.reverse()
        later = before is not None and bool(found)
        return Page(
            found,
            next_before=found[0].seq if more else None,
            next_after=found[-1].seq if later else None,
            seq=seq or 0,
        )
    earlier = bool(found) and after > 0
    return Page(
        found,
        next_before=found[0].seq if earlier else None,
        next_after=found[-1].seq if more else None,
        seq=seq or 0,
    )


def replay(engine: Engine, conversation_id: str, since: int, limit: int = 500) -> Replay:
    """Return the frames of the events after ``since``, ``limit`` at most, in order."""
    with reading(engine) as connection:
        last_seq = connection.execute(
            select(conversations.c.last_seq).where(conversations.c.id == conversation_id)
        ).scalar_one_or_none()
        if last_seq is None or since >= last_seq:
            return Replay([], last_seq or 0)
        return Replay(_payloads(connection, conversation_id, since, limit), last_seq)


def payloads_after(engine: Engine, conversation_id: str, since: int, limit: int = 500) -> list[str]:
    """Return the frames of the events after ``since``, ``limit`` at most, in order."""
    with asking(engine) as connection:
        return _payloads(connection, conversation_id, since, limit)


def _payloads(connection: Connection, conversation_id: str, since: int, limit: int) -> list[str]:
    parameters = {"conversation": conversation_id, "since": since, "limit": limit}
    return list(connection.execute(_PAYLOADS, parameters).scalars())


def find_kept(engine: Engine, conversation_ids: Collection[str]) -> dict[str, Kept]:
    """Return which events of each of these conversations are kept."""
    with asking(engine) as connection:
        rows = connection.execute(_kept(connection.dialect.name), as_list(connection, conversation_ids))
        found = {id_: Kept(first_seq, last_seq) for id_, first_seq, last_seq in rows}
    return {id_: found.get(id_, Kept(1, 0)) for id_ in conversation_ids}


# What every join and every `auth` asks is built once: building it costs as much as running it.
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


def last_seqs(engine: Engine, conversation_ids: Collection[str]) -> dict[str, int]:
    """Return the newest event number of each of these conversations; 0 for one that does not exist yet."""
    with reading(engine) as connection:
        query = select(conversations.c.id, conversations.c.last_seq).where(
            listed(connection.dialect.name, conversations.c.id)
        )
        found = {row.id: row.last_seq for row in connection.execute(query, as_list(connection, conversation_ids))}
    return {id_: found.get(id_, 0) for id_ in conversation_ids}


def have_pending_failures(engine: Engine, user_ids: Collection[str]) -> dict[str, bool]:
    """Tell of each of these users whether :func:`pending_failures` are there."""
    with asking(engine) as connection:
        rows = connection.execute(_with_failures(connection.dialect.name), as_list(connection, user_ids))
        found = set(rows.scalars())
    return {id_: id_ in found for id_ in user_ids}


def pending_failures(engine: Engine, user_id: str, limit: int = 100) -> list[Failure]:
    """Return the failures of a user's messages of which the user was not told yet, oldest first."""
    query = (
        select(failures.c.job_id, failures.c.message_id, failures.c.reason)
        .where(failures.c.sender_id == user_id, failures.c.resolved_at.is_(None), failures.c.message_id.is_not(None))
        .order_by(failures.c.created_at)
        .limit(limit)
    )
    with reading(engine) as connection:
        return [Failure(*row) for row in connection.execute(query)]


def resolve_failures(engine: Engine, job_ids: Collection[str], now: str) -> None:
    """Record that the senders were told of these failures."""
    with writing(engine) as connection:
        statement: Any = (
            update(failures).where(listed(connection.dialect.name, failures.c.job_id)).values(resolved_at=now)
        )
        connection.execute(statement, as_list(connection, job_ids))
