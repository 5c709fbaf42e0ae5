"""One batch: read the claimed jobs, apply them in one transaction, say what to publish and to finish."""

from __future__ import annotations

import time
import traceback

import structlog
from sqlalchemy import Engine

from chatq.domain.clock import normal, seconds, timestamp
from chatq.domain.events import MessageFailed, to_payload
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.errors import JobRefused
from chatq.queue import keys
from chatq.queue.claims import Claim, Ended, Finish, Held
from chatq.queue.codec import message_id_of
from chatq.queue.retry import MAX_ATTEMPTS, backoff
from chatq.store.batch import FindWaiting, apply_batch, apply_suspect, refusal_row
from chatq.store.faults import first_line
from chatq.store.work import EXPIRED, Outcome, Row, Work

FAILURE_SECONDS = 365 * 24 * 3600
"""How long a failed job rests in RQ's registry, unless someone retries or deletes it."""

log = structlog.get_logger("chatq.worker")


class Batch:
    """The claimed jobs of a lane, on their way through the transaction."""

    def __init__(self, held: Held) -> None:
        self._began = time.monotonic()
        self._held = held
        self._works: list[Work] = []
        self._attempts: dict[str, int] = {}
        self._refused: list[Row] = []
        self._finish = Finish()
        self._retried: set[str] = set()
        for claim in held.claims:
            self._read(claim)

    def work_off(self, engine: Engine, find_waiting: FindWaiting, *, suspect: bool = False) -> Finish:
        """Apply the jobs, and return what is to be published and finished.

        ``suspect``: there is one job, of a lane in which some job looks like an outage again and again.

        Raises:
            LaneLost: another worker has taken the lane over; nothing was changed.
            DatabaseError: the database is away; nothing was changed.
        """
        if self._held.epoch is None:
            raise AssertionError("a lane is taken over in the database before its jobs are applied")
        apply = apply_suspect if suspect else apply_batch
        outcomes = apply(
            engine,
            self._held.lane,
            self._held.epoch,
            self._works,
            refused=self._refused,
            find_waiting=find_waiting,
        )
        together: dict[str, list[str]] = {}
        for work, outcome in zip(self._works, outcomes, strict=True):
            for event in outcome.published:
                together.setdefault(event.conversation_id, []).append(event.payload)
            self._end(work, outcome)
        # Some were put aside before the others were applied; those that wait behind the same message keep their order.
        place = {claim.job_id: at for at, claim in enumerate(self._held.claims)}
        self._finish.ended.sort(key=lambda ended: place[ended.job_id])
        # One line a frame: a conversation's events of one batch travel together, in order.
        self._finish.publish[:0] = [
            (keys.conversation_channel(conversation), "\n".join(payloads).encode())
            for conversation, payloads in together.items()
        ]
        self._finish.seconds = time.monotonic() - self._began
        return self._finish

    def _read(self, claim: Claim) -> None:
        job = claim.job
        if isinstance(job, JobRefused):
            log.warning("job refused", job_id=claim.job_id, reason=job.detail)
            self._refused.append(refusal_row(claim.job_id, job.detail))
            self._finish.ended.append(_failed(claim.job_id, job.detail, ""))
            return
        message_id = message_id_of(job, claim.job_id) if isinstance(job, SendMessage) else job.message_id
        last = claim.attempts + 1 >= MAX_ATTEMPTS
        expired = job.expires_at is not None and seconds(job.expires_at) <= time.time()
        work = Work(
            claim.job_id,
            message_id,
            job,
            _accepted_at(claim),
            last_attempt=last,
            failed_before=claim.failed_before,
            expired=expired,
        )
        if not expired and not isinstance(job, SendMessage) and message_id in self._retried:
            # Others may wait behind this message already, and go first.
            self._wait_behind(work)
        else:
            if isinstance(job, SendMessage) and claim.tried_before:
                self._retried.add(message_id)
            self._attempts[claim.job_id] = claim.attempts
            self._works.append(work)

    def _end(self, work: Work, outcome: Outcome) -> None:
        attempt = self._attempts[work.job_id] + 1
        if outcome.failure == EXPIRED:
            self._finish.ended.append(Ended(work.job_id, "gone", EXPIRED, message_id=_remembered(work)))
            self._tell_sender(work, EXPIRED)
        elif outcome.failure is not None:
            log.error("job failed", job_id=work.job_id, attempt=attempt, reason=outcome.failure)
            self._finish.ended.append(_failed(work.job_id, _trace(outcome), _remembered(work)))
            self._tell_sender(work, outcome.failure)
        elif outcome.error is not None:
            reason = first_line(outcome.error)
            log.warning("job failed; it is tried again", job_id=work.job_id, attempt=attempt, reason=reason)
            due = time.time() + backoff(attempt)
            self._finish.ended.append(Ended(work.job_id, "retry", _trace(outcome), due, attempts=attempt))
        elif outcome.missing:
            self._wait_behind(work)
        else:
            self._finish.done.append(work.job_id)

    def _wait_behind(self, work: Work) -> None:
        self._finish.ended.append(Ended(work.job_id, "behind", at=time.time(), message_id=work.message_id))

    def _tell_sender(self, work: Work, reason: str) -> None:
        if isinstance(work.job, SendMessage):
            data = work.job.message_data
            event = MessageFailed(message_id=work.message_id, client_message_id=data.client_message_id, reason=reason)
            channel = keys.user_channel(data.sender_id or DEVELOPMENT_USER)
            self._finish.publish.append((channel, to_payload(event).encode()))


def _accepted_at(claim: Claim) -> str:
    try:
        # RQ's clients write more digits than chatq keeps.
        return normal(claim.created_at)
    except ValueError:
        return timestamp()


def _remembered(work: Work) -> str:
    """Return the id under which a repeat of this job is recognised, or ''."""
    return work.message_id if isinstance(work.job, SendMessage) and work.job.message_data.client_message_id else ""


def _failed(job_id: str, trace: str, message_id: str) -> Ended:
    return Ended(job_id, "failed", trace, time.time() + FAILURE_SECONDS, message_id=message_id)


def _trace(outcome: Outcome) -> str:
    if outcome.error is None:
        return outcome.failure or ""
    return "".join(traceback.format_exception(outcome.error))
