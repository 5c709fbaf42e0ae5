"""What the database tells of a job that Redis keeps no longer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from chatq.store.engine import reading
from chatq.store.tables import events, failures, messages


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


def find_job(engine: Engine, job_id: str) -> JobTrace | None:
    """Return what the database tells of a job that Redis keeps no longer, or None.

    Raises:
        DatabaseError: the database cannot be used.
    """
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
