"""The one transaction: a batch of a lane's jobs, applied together.

The order is always the same: fence, load and lock, apply in memory, write. A batch that the database
objects to is split by savepoints until the job that it objects to is alone; an outage is never taken for
an objection.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from chatq.domain.clock import timestamp
from chatq.domain.jobs import SendMessage
from chatq.store.engine import first_line, is_missing_table, is_outage, writing
from chatq.store.fence import check_epoch
from chatq.store.ledger import Ledger, Outcome, Row, Work
from chatq.store.loading import load
from chatq.store.saving import record_failures, save


def apply_batch(
    engine: Engine, lane: int, epoch: int, works: Sequence[Work], refused: Sequence[Row] = ()
) -> list[Outcome]:
    """Apply a batch of one lane's jobs in their order and return, for each, what became of it.

    ``refused`` are rows of ``failures`` for jobs that could not even be read. All of it is committed when this
    returns; nothing is, if it raises.

    Raises:
        LaneLost: another worker has taken the lane over.
        DatabaseUnavailable: the database does not answer.
    """
    try:
        with writing(engine) as connection:
            check_epoch(connection, lane, epoch)
            outcomes = _apply(connection, works)
            _record_failures(connection, works, outcomes, refused)
    except DBAPIError:
        # An outage would have come out as DatabaseUnavailable: this is about some job's data.
        return apply_isolating(engine, lane, epoch, works, refused)
    return outcomes


def apply_isolating(
    engine: Engine, lane: int, epoch: int, works: Sequence[Work], refused: Sequence[Row] = ()
) -> list[Outcome]:
    """Do what :func:`apply_batch` does, but leave out each job that the database objects to."""
    with writing(engine) as connection:
        check_epoch(connection, lane, epoch)
        outcomes = _bisect(connection, works)
        _record_failures(connection, works, outcomes, refused)
    return outcomes


def _apply(connection: Connection, works: Sequence[Work]) -> list[Outcome]:
    ledger = Ledger(timestamp())
    load(connection, ledger, works)
    outcomes = [ledger.apply(work) for work in works]
    save(connection, ledger)
    return outcomes


def _bisect(connection: Connection, works: Sequence[Work]) -> list[Outcome]:
    try:
        with connection.begin_nested():
            return _apply(connection, works)
    except DBAPIError as error:
        if is_outage(error) or is_missing_table(error):
            raise
        if len(works) == 1:
            return [Outcome(failure=first_line(error) if works[0].last_attempt else None, error=error)]
    middle = len(works) // 2
    return _bisect(connection, works[:middle]) + _bisect(connection, works[middle:])


def _record_failures(
    connection: Connection, works: Sequence[Work], outcomes: Sequence[Outcome], refused: Sequence[Row]
) -> None:
    rows = list(refused) + [
        failure_row(work, outcome.failure)
        for work, outcome in zip(works, outcomes, strict=True)
        if outcome.failure is not None
    ]
    record_failures(connection, rows)


def failure_row(work: Work, reason: str) -> Row:
    """Return the row of ``failures`` for a job that failed for good."""
    job = work.job
    sender = job.message_data.sender_id if isinstance(job, SendMessage) else None
    return refusal_row(work.job_id, reason, work.message_id, job.conversation_id, sender)


def refusal_row(
    job_id: str,
    reason: str,
    message_id: str | None = None,
    conversation_id: str | None = None,
    sender_id: str | None = None,
) -> Row:
    """Return the row of ``failures`` for a job of which only this is known."""
    return {
        "job_id": job_id,
        "message_id": message_id,
        "conversation_id": conversation_id,
        "sender_id": sender_id,
        "reason": reason,
        "created_at": timestamp(),
    }
