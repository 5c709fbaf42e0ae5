"""The fence: ``lanes.epoch`` counts how often a lane was taken over, and keeps former holders out.

Every transaction of a lane passes it first, and learns what was done of its jobs before.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Engine, Select, bindparam, exists, null, select, text

from chatq.domain.events import NewMessage, from_payload
from chatq.domain.ids import is_computed
from chatq.domain.jobs import MessageJob, SendMessage
from chatq.domain.messages import is_same
from chatq.errors import LaneLost
from chatq.store.bulk import fetch
from chatq.store.engine import writing
from chatq.store.listed import as_list, listed
from chatq.store.tables import as_text, conversations, events, failures, lanes
from chatq.store.work import Before, Conversation, Published, Work

_TAKE_OVER = text(
    "INSERT INTO lanes (lane, epoch) VALUES (:lane, 1) "
    "ON CONFLICT (lane) DO UPDATE SET epoch = lanes.epoch + 1 RETURNING epoch"
)
_END_OF_TIME = "9999"
"""After every RFC 3339 time of this era."""


def take_over(engine: Engine, lane: int) -> int:
    """Begin a new epoch of the lane and return it.

    Waits for a transaction of the former holder that is under way; one that begins later is refused.

    Raises:
        DatabaseUnavailable: the database does not answer, or that transaction does not end.
    """
    with writing(engine) as connection:
        return int(connection.execute(_TAKE_OVER, {"lane": lane}).scalar_one())


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
    return before, {row["id"]: to_conversation(row) for row in found if row["id"] is not None}


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
    locked = lock(dialect, "conversations").cte("locked")
    return select(fence, *(null().label(column.name) for column in locked.c)).union_all(
        select(*(null().label(column.name) for column in fence.c), locked)
    )


@functools.cache
def lock(dialect: str, name: str = "ids") -> Select[Any]:
    """Return the statement that locks the conversations among the parameter ``name``."""
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


def to_conversation(row: Mapping[str, Any]) -> Conversation:
    """Return what :func:`lock` finds."""
    return Conversation(
        row["id"], row["last_seq"], row["last_message_id"], row["last_message"], as_text(row["last_message_at"])
    )
