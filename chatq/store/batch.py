"""The one transaction: a batch of a lane's jobs, applied together.

The order is always the same: fence, load and lock, apply in memory, write. A batch that the database
objects to is split by savepoints until the job that it objects to is alone; an outage is never taken for
an objection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from chatq.domain.clock import timestamp
from chatq.domain.ids import MAX_JOB_ID
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.errors import DatabaseUnavailable
from chatq.store.bulk import Write, commit_with, write_all
from chatq.store.effects import apply
from chatq.store.engine import ping, writing
from chatq.store.faults import first_line, is_lost_connection, is_missing_table, is_outage, may_be_a_job_s
from chatq.store.fence import pass_fence
from chatq.store.ledger import Ledger
from chatq.store.loading import load
from chatq.store.receipts import find_superseded
from chatq.store.saving import failures_write, save
from chatq.store.work import Before, Conversation, Outcome, Published, Row, Work

LOST_CONNECTIONS = 3
"""So many in a row must a suspect lose that it is taken for their cause."""

_WANT_TABLES = text("LOCK TABLE conversations, messages, events, members, failures, lanes IN ROW EXCLUSIVE MODE NOWAIT")

FindWaiting = Callable[[set[str]], set[str]]
"""Given ids of messages, returns those that wait to be stored."""


def nobody_waits(_message_ids: set[str]) -> set[str]:
    """Tell that no message waits to be stored."""
    return set()


def apply_batch(
    engine: Engine,
    lane: int,
    epoch: int,
    works: Sequence[Work],
    *,
    refused: Sequence[Row] = (),
    find_waiting: FindWaiting = nobody_waits,
) -> list[Outcome]:
    """Apply a batch of one lane's jobs in their order and return, for each, what became of it.

    All of it is committed when this returns; nothing is, if it raises.

    Args:
        engine: of the database.
        lane: the lane.
        epoch: under which the caller holds it.
        works: the jobs.
        refused: rows of ``failures`` for jobs that could not even be read.
        find_waiting: tells which of some messages that are not there may still come. A job about one of these
            comes back as ``missing``; a job about any other that is not there fails.

    Raises:
        LaneLost: another worker has taken the lane over.
        DatabaseUnavailable: the database does not answer.
    """
    step = _Step(engine, lane, epoch, find_waiting)
    try:
        with step.transaction(works, refused) as transaction:
            return transaction.apply(works)
    except DBAPIError:
        # An outage would have come out as DatabaseUnavailable: this is about some job's data.
        with step.transaction(works, refused) as transaction:
            return transaction.bisect(works)


def apply_suspect(
    engine: Engine,
    lane: int,
    epoch: int,
    works: Sequence[Work],
    *,
    refused: Sequence[Row] = (),
    find_waiting: FindWaiting = nobody_waits,
) -> list[Outcome]:
    """Do what :func:`apply_batch` does with one job that may look like an outage: then it is the job that failed.

    Raises:
        LaneLost: another worker has taken the lane over.
        DatabaseUnavailable: the database does not answer any more, or what it says is no single job's doing.
    """
    for _ in range(LOST_CONNECTIONS):
        try:
            return apply_batch(engine, lane, epoch, works, refused=refused, find_waiting=find_waiting)
        except DatabaseUnavailable as error:
            if not may_be_a_job_s(error):
                raise
            ping(engine)
            fault = error
            if not is_lost_connection(error):
                break
    # At once: whoever waits for something else first may find a lock gone that was the cause.
    _check_tables(engine)
    outcomes = [Outcome(failure=fault.detail if work.last_attempt else None, error=fault) for work in works]
    # The conversation is left alone: its row may be what could not be had.
    with _Step(engine, lane, epoch, find_waiting).transaction([], refused) as transaction:
        transaction.note(works, outcomes)
    return outcomes


def _check_tables(engine: Engine) -> None:
    """Raise DatabaseUnavailable if the database does not answer, or somebody has locked a whole table."""
    with writing(engine) as connection:
        # SQLite has one lock, and it is held now.
        if connection.dialect.name == "postgresql":
            connection.execute(_WANT_TABLES)


@dataclass(frozen=True, slots=True)
class _Step:
    """What all transactions of one batch have in common."""

    engine: Engine
    lane: int
    epoch: int
    find_waiting: FindWaiting

    @contextmanager
    def transaction(self, works: Sequence[Work], refused: Sequence[Row]) -> Iterator[_Transaction]:
        with writing(self.engine) as connection:
            before, locked = pass_fence(connection, self.lane, self.epoch, works)
            transaction = _Transaction(connection, before, locked, self.find_waiting)
            yield transaction
            commit_with(connection, [*transaction.writes, *failures_write(refused)])


@dataclass(slots=True)
class _Transaction:
    connection: Connection
    before: Before
    locked: dict[str, Conversation]
    """Conversations as they were when the transaction began."""
    find_waiting: FindWaiting
    writes: list[Write] = field(default_factory=list)
    """What remains to be written with the commit."""

    def apply(self, works: Sequence[Work], *, thorough: bool = False) -> list[Outcome]:
        # What is loaded takes the place of events that were read before, and is changed even if it is rolled back then.
        applied = {job_id: Published(event.row) for job_id, event in self.before.applied.items()}
        ledger = Ledger(timestamp(), replace(self.before, applied=applied))
        if not thorough:
            ledger.conversations = self.locked
        load(self.connection, ledger, works, thorough=thorough)
        ledger.superseded = find_superseded(works, ledger)
        outcomes = [apply(ledger, work) for work in works]
        failed = (outcome.failure is not None or outcome.missing for outcome in outcomes)
        self.writes += save(
            self.connection, ledger, {work.job_id for work, fault in zip(works, failed, strict=True) if not fault}
        )
        return self.note(works, outcomes)

    def bisect(self, works: Sequence[Work]) -> list[Outcome]:
        """Apply what the database does not object to, by savepoints."""
        try:
            with self.connection.begin_nested():
                outcomes = self.apply(works, thorough=True)
                self._flush()
                return outcomes
        except DBAPIError as error:
            if is_outage(error) or is_missing_table(error):
                raise
            self.writes.clear()
            if len(works) == 1:
                reason = first_line(error) if works[0].last_attempt else None
                outcomes = self.note(works, [Outcome(failure=reason, error=error)])
                self._flush()
                return outcomes
        middle = len(works) // 2
        return self.bisect(works[:middle]) + self.bisect(works[middle:])

    def note(self, works: Sequence[Work], outcomes: list[Outcome]) -> list[Outcome]:
        """Tell jobs that must wait from those that failed, and record the failures."""
        missing = {work.message_id for work, outcome in zip(works, outcomes, strict=True) if outcome.missing}
        if missing:
            gone = missing - self.find_waiting(missing)
            outcomes = [
                Outcome(failure=f"There is no message {work.message_id}.")
                if outcome.missing and work.message_id in gone
                else outcome
                for work, outcome in zip(works, outcomes, strict=True)
            ]
        rows = [
            failure_row(work, outcome.failure)
            for work, outcome in zip(works, outcomes, strict=True)
            if outcome.failure is not None
        ]
        self.writes += failures_write(rows)
        return outcomes

    def _flush(self) -> None:
        writes, self.writes = self.writes, []
        write_all(self.connection, writes)


def failure_row(work: Work, reason: str) -> Row:
    """Return the row of ``failures`` for a job that failed for good."""
    job = work.job
    sender = job.message_data.sender_id or DEVELOPMENT_USER if isinstance(job, SendMessage) else None
    return refusal_row(work.job_id, reason, work.message_id, job.conversation_id, sender)


def refusal_row(
    job_id: str,
    reason: str,
    message_id: str | None = None,
    conversation_id: str | None = None,
    sender_id: str | None = None,
) -> Row:
    """Return the row of ``failures`` for a job of which only this is known.

    Whatever the job holds, the row can be stored: reasons quote it.
    """
    return {
        "job_id": job_id[:MAX_JOB_ID],
        "message_id": message_id,
        "conversation_id": conversation_id,
        "sender_id": sender_id,
        "reason": reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        "created_at": timestamp(),
    }
