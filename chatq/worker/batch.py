"""One batch: read the claimed jobs, apply them in one transaction, say what to publish and to finish."""

from __future__ import annotations

import time
import traceback
import zlib

import structlog
from sqlalchemy import Engine

from chatq.domain.events import MessageFailed, to_payload
from chatq.domain.jobs import SendMessage
from chatq.errors import JobRefused
from chatq.queue import keys
from chatq.queue.codec import decode_job, message_id_of
from chatq.queue.lanes import Claim, Ended, Finish, Held
from chatq.queue.retry import MAX_ATTEMPTS, backoff
from chatq.store.batch import apply_batch, refusal_row
from chatq.store.ledger import Outcome, Row, Work

FAILURE_SECONDS = 365 * 24 * 3600
"""How long a failed job rests in RQ's registry, unless someone retries or deletes it."""

log = structlog.get_logger("chatq.worker")


def work_off(engine: Engine, held: Held) -> Finish:
    """Apply the claimed jobs of a lane, and return what is to be published and finished.

    Raises:
        LaneLost: another worker has taken the lane over; nothing was changed.
        DatabaseError: the database is away; nothing was changed.
    """
    if held.epoch is None:
        raise AssertionError("a lane is taken over in the database before its jobs are applied")
    began = time.monotonic()
    finish = Finish()
    works: list[Work] = []
    refused: list[Row] = []
    for claim in held.claims:
        try:
            works.append(_read(claim))
        except JobRefused as error:
            log.warning("job refused", job_id=claim.job_id, reason=error.detail)
            refused.append(refusal_row(claim.job_id, error.detail))
            finish.ended.append(_failed(claim.job_id, error.detail, ""))
    outcomes = apply_batch(engine, held.lane, held.epoch, works, refused)
    together: dict[str, list[str]] = {}
    attempts = {claim.job_id: claim.attempts for claim in held.claims}
    for work, outcome in zip(works, outcomes, strict=True):
        for event in outcome.published:
            together.setdefault(event.conversation_id, []).append(event.payload)
        if outcome.failure is None and outcome.error is None:
            finish.done.append(work.job_id)
        else:
            _end(finish, work, outcome, attempts[work.job_id] + 1)
    # One line a frame: a conversation's events of one batch travel together, in order.
    finish.publish[:0] = [
        (keys.conversation_channel(conversation), "\n".join(payloads).encode())
        for conversation, payloads in together.items()
    ]
    finish.seconds = time.monotonic() - began
    return finish


def _read(claim: Claim) -> Work:
    job = decode_job(claim.data)
    message_id = message_id_of(job, claim.job_id) if isinstance(job, SendMessage) else job.message_id
    last = claim.attempts + 1 >= MAX_ATTEMPTS
    return Work(claim.job_id, message_id, job, claim.created_at, last_attempt=last)


def _end(finish: Finish, work: Work, outcome: Outcome, attempt: int) -> None:
    if outcome.failure is None:
        due = time.time() + backoff(attempt)
        log.warning("job failed; it is tried again", job_id=work.job_id, attempt=attempt, reason=str(outcome.error))
        trace = zlib.compress(_trace(outcome).encode())
        finish.ended.append(Ended(work.job_id, "retry", trace, due, attempts=attempt))
        return
    log.error("job failed", job_id=work.job_id, attempt=attempt, reason=outcome.failure)
    client_id = work.job.message_data.client_message_id if isinstance(work.job, SendMessage) else None
    finish.ended.append(_failed(work.job_id, _trace(outcome), work.message_id if client_id else ""))
    if isinstance(work.job, SendMessage) and (sender := work.job.message_data.sender_id):
        event = MessageFailed(message_id=work.message_id, client_message_id=client_id, reason=outcome.failure)
        finish.publish.append((keys.user_channel(sender), to_payload(event).encode()))


def _failed(job_id: str, trace: str, message_id: str) -> Ended:
    return Ended(job_id, "failed", zlib.compress(trace.encode()), time.time() + FAILURE_SECONDS, message_id=message_id)


def _trace(outcome: Outcome) -> str:
    if outcome.error is None:
        return outcome.failure or ""
    return "".join(traceback.format_exception(outcome.error))
