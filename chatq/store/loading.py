"""What a batch reads, and locks, before it is applied."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    null,
    select,
    text,
    union_all,
)

from chatq.domain.events import NewMessage, from_payload
from chatq.domain.ids import is_computed
from chatq.domain.jobs import MessageJob, SendMessage, UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER, Message
from chatq.domain.wire import encode, parse
from chatq.errors import LaneLost
from chatq.store.bulk import fetch
from chatq.store.ledger import Before, Conversation, Ledger, Member, Published, Stored, Work, is_same
from chatq.store.tables import as_text, conversations, events, failures, lanes, members, messages

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (id, created_at) VALUES (:id, :created_at) ON CONFLICT (id) DO NOTHING"
)
_END_OF_TIME = "9999"
"""After every RFC 3339 time of this era."""


def pass_fence(
    connection: Connection, lane: int, epoch: int, works: Sequence[Work]
) -> tuple[Before, dict[str, Conversation]]:
    """Hold the lane's epoch until the transaction ends; return what was done of these jobs before.

    One statement for both: a former holder's transaction has either ended before this one begins, or is
    refused by its own fence. It also locks, in the order of their ids, and returns the conversations that get new
    messages.

    Raises:
        LaneLost: another worker has taken the lane over.
    """
    parameters = as_list(connection, {work.job_id for work in works})
    wanted = {work.job.conversation_id for work in works if isinstance(work.job, SendMessage)}
    parameters |= as_list(connection, wanted, "conversations")
    found = fetch(connection, _fence(connection.dialect.name), parameters | {"lane": lane})
    rows = [row for row in found if row["id"] is None]
    current = rows[0]["epoch"] if rows else None
    if current != epoch:
        raise LaneLost(f"Lane {lane} was taken over: its epoch is {current}, not {epoch}.")
    applied = {
        row["job_id"]: Published(row | {"created_at": as_text(row["created_at"])})
        for row in rows
        if row["job_id"] is not None
    }
    others = {work.job_id for work in works if work.job_id in applied and _says_else(work.job, applied[work.job_id])}
    unresolved = bool(rows[0]["unresolved"])
    settled = _find_settled(works, applied)
    failed = _find_failed(connection, works, others) if unresolved else {}
    before = Before({id_: applied[id_] for id_ in applied.keys() - others}, settled, failed, others, unresolved)
    return before, {row["id"]: _to_conversation(row) for row in found if row["id"] is not None}


# Built once: building a statement costs as much as running it for a lone message.
@functools.cache
def _fence(dialect: str) -> CompoundSelect[Any]:
    fence = (
        select(
            lanes.c.epoch,
            exists().where(failures.c.resolved_at.is_(None)).label("unresolved"),
            events.c.job_id,
            events.c.conversation_id,
            events.c.payload,
            events.c.created_at,
        )
        .select_from(lanes.outerjoin(events, listed(dialect, events.c.job_id)))
        .where(lanes.c.lane == bindparam("lane"))
        .with_for_update(read=True, of=lanes)
        .cte("fence")
    )
    locked = _lock(dialect, "conversations").cte("locked")
    return select(fence, *(null().label(column.name) for column in locked.c)).union_all(
        select(*(null().label(column.name) for column in fence.c), locked)
    )


@functools.cache
def _lock(dialect: str, name: str = "ids") -> Select[Any]:
    columns = conversations.c
    return (
        select(columns.id, columns.last_seq, columns.last_message_id, columns.last_message, columns.last_message_at)
        .where(listed(dialect, columns.id, name))
        .order_by(columns.id)
        .with_for_update()
    )


def _says_else(job: MessageJob, published: Published) -> bool:
    """Tell whether a message is not the one that was stored under its id, unless that was edited since."""
    if not isinstance(job, SendMessage):
        return False
    event = from_payload(published.payload)
    return not isinstance(event, NewMessage) or not is_same(event.message, job.message_data)


def _find_settled(works: Sequence[Work], applied: Mapping[str, Published]) -> set[str]:
    """Return the jobs that were done before and had no effect.

    Jobs about one message keep their order and a batch is committed as a whole: what stands before a job that
    was applied was done as well, and done once more it might have an effect now. But a job whose id was
    computed from a client's may have been applied long ago, before what stands in front of it was accepted, and
    be a mere repeat; and what was accepted before the very message that it is about was stored was put behind it.
    """
    settled: set[str] = set()
    done_at: dict[str, str] = {}
    """By message: what was accepted until then, and stands before here, was done."""
    stored_at: dict[str, str] = {}
    """By message: what was accepted until then, and stands before here, may have come before its message."""
    for work in reversed(works if applied else ()):
        published = applied.get(work.job_id)
        if isinstance(work.job, SendMessage):
            stored_at[work.message_id] = published.row["created_at"] if published else _END_OF_TIME
        elif published is not None:
            at = published.row["created_at"] if is_computed(work.job_id) else _END_OF_TIME
            done_at[work.message_id] = max(at, done_at.get(work.message_id, ""))
        elif stored_at.get(work.message_id, "") < work.created_at <= done_at.get(work.message_id, ""):
            settled.add(work.job_id)
    return settled


def load(connection: Connection, ledger: Ledger, works: Sequence[Work], *, thorough: bool) -> None:
    """Fill the ledger with everything that these jobs touch, and lock those conversations that it does not have yet.

    A new message is only looked for if another job may have made it. Whether one did is known from the job's id,
    unless the message was made by a job of another id; ``thorough`` looks for those as well.
    """
    wanted = {
        work.message_id
        for work in works
        if work.job_id not in ledger.before.applied
        and (
            thorough
            or work.message_id != work.job_id
            or not isinstance(work.job, SendMessage)
            or work.job_id in ledger.before.others
        )
    }
    _load_messages(connection, ledger, wanted)
    sends = [work.job for work in works if isinstance(work.job, SendMessage) and not work.expired]
    touched = {job.conversation_id for job in sends}
    touched.update(stored.message.conversation_id for stored in ledger.messages.values())
    to_make = {job.conversation_id for job in sends if job.joins is not False}
    _lock_conversations(connection, ledger, touched, to_make)
    _load_marks(connection, ledger, works)


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


def _find_failed(connection: Connection, works: Sequence[Work], others: set[str]) -> dict[str, str]:
    """Return the jobs whose failure was committed, but not finished: once more they fail in the same way."""
    may_have = {
        work.job_id
        for work in works
        if not work.failed_before
        and (work.last_attempt or not isinstance(work.job, SendMessage) or work.job_id in others)
    }
    if not may_have:
        return {}
    query = select(failures.c.job_id, failures.c.reason).where(
        listed(connection.dialect.name, failures.c.job_id), failures.c.resolved_at.is_(None)
    )
    return {row.job_id: row.reason for row in connection.execute(query, as_list(connection, may_have))}


def _load_messages(connection: Connection, ledger: Ledger, ids: set[str]) -> None:
    if not ids:
        return
    query = select(messages).where(listed(connection.dialect.name, messages.c.id))
    for row in connection.execute(query, as_list(connection, ids)):
        ledger.messages[row.id] = Stored(to_message(row), new=False)
    if not ledger.messages:
        return
    here = and_(events.c.conversation_id == messages.c.conversation_id, events.c.seq == messages.c.seq)
    content = union_all(
        select(events).join(messages, here).where(listed(connection.dialect.name, messages.c.id)),
        select(events).where(
            listed(connection.dialect.name, events.c.message_id), text("events.type = 'messageEdited'")
        ),
    )
    for event in connection.execute(content, as_list(connection, set(ledger.messages))).mappings():
        stored = dict(event)
        ledger.messages[event["message_id"]].events.append(stored)
        if (published := ledger.before.applied.get(event["job_id"])) is not None:
            # One and the same row, so that it is published as it will be stored.
            published.row = stored


def _lock_conversations(connection: Connection, ledger: Ledger, wanted: set[str], to_make: set[str]) -> None:
    """Lock those of the wanted conversations that exist, and make those of ``to_make`` that do not."""

    def lock(ids: set[str]) -> None:
        for row in fetch(connection, _lock(connection.dialect.name), as_list(connection, ids)):
            ledger.conversations[row["id"]] = _to_conversation(row)

    if unlocked := wanted - ledger.conversations.keys():
        lock(unlocked)
    missing = to_make - ledger.conversations.keys()
    if missing:
        rows = [{"id": id_, "created_at": ledger.now} for id_ in sorted(missing)]
        connection.execute(_NEW_CONVERSATION, rows)
        lock(missing)
        ledger.unborn |= missing


def _to_conversation(row: Mapping[str, Any]) -> Conversation:
    return Conversation(
        row["id"], row["last_seq"], row["last_message_id"], row["last_message"], as_text(row["last_message_at"])
    )


def _load_marks(connection: Connection, ledger: Ledger, works: Sequence[Work]) -> None:
    """Load the watermarks of the users whose jobs move them."""
    wanted = {
        (ledger.messages[work.message_id].message.conversation_id, work.job.user_id or DEVELOPMENT_USER)
        for work in works
        if isinstance(work.job, UpdateMessageStatus) and work.message_id in ledger.messages
    } | {(job.conversation_id, status.user_id or DEVELOPMENT_USER) for job, status in _marked_in_this_batch(works)}
    if not wanted:
        return
    query = select(members.c.conversation_id, members.c.user_id, members.c.delivered_seq, members.c.read_seq).where(
        listed(connection.dialect.name, members.c.conversation_id),
        listed(connection.dialect.name, members.c.user_id, "users"),
    )
    parameters = as_list(connection, {conversation for conversation, _ in wanted})
    parameters |= as_list(connection, {user for _, user in wanted}, "users")
    for row in connection.execute(query, parameters):
        ledger.members[row.conversation_id, row.user_id] = Member(row.delivered_seq, row.read_seq)


def _marked_in_this_batch(works: Sequence[Work]) -> list[tuple[SendMessage, UpdateMessageStatus]]:
    """Pair the messages that are new in this batch with the marks that the same batch sets on them."""
    sends = {work.message_id: work.job for work in works if isinstance(work.job, SendMessage)}
    marks = ((work.message_id, work.job) for work in works if isinstance(work.job, UpdateMessageStatus))
    return [(sends[message_id], job) for message_id, job in marks if message_id in sends]


def to_message(row: Any) -> Message:
    """Return a row of ``messages`` as clients see it."""
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        sender_id=row.sender_id,
        client_message_id=row.client_message_id,
        content=row.content,
        metadata=None if row.metadata is None else parse(row.metadata),
        status=row.status,
        created_at=row.created_at,
        persisted_at=row.persisted_at,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )
