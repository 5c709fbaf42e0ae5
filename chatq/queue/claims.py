"""Claimed jobs: what a worker has of a lane in hand, and what it says of how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from chatq.domain.ids import MAX_JOB_ID
from chatq.domain.jobs import MessageJob
from chatq.errors import JobRefused
from chatq.queue.codec import decode_job


class Claim(NamedTuple):
    """One claimed job, as it lies in Redis."""

    job_id: str
    job: MessageJob | JobRefused
    """What is to be done, or why that cannot be read."""
    created_at: str
    attempts: int
    """How often it was tried before."""
    failed_before: bool
    """Whether it failed, and somebody queued it again."""

    @property
    def tried_before(self) -> bool:
        """Whether jobs that were accepted before this attempt may wait for it."""
        return self.attempts > 0 or self.failed_before


@dataclass(slots=True)
class Held:
    """A lane that this worker holds, with the jobs that it claimed."""

    lane: int
    token: str
    """Of this very hold: what is sent for it, and arrives after the lane was taken anew, changes nothing."""
    epoch: int | None
    """The lane's epoch in the database; None: it must be taken over there first."""
    claims: list[Claim]
    """The jobs in hand."""
    since: float
    """Monotonic time at which the lane was taken."""
    ahead: Future[list[Claim]] | None = None
    """The jobs after those in hand, on their way; none if the lane was lost."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a claimed job that is not simply done."""

    job_id: str
    fate: Literal["failed", "retry", "behind", "gone"]
    trace: str = ""
    """The traceback."""
    at: float = 0.0
    """``failed``: until when it rests; ``retry``: when it is due; in seconds since the epoch."""
    attempts: int = 0
    message_id: str = ""
    """``behind``: the message that it waits for; else the message whose client id may be used again, if any."""


@dataclass(slots=True)
class Finish:
    """How a batch ended, and what there is to publish of it."""

    done: list[str] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    publish: list[tuple[str, bytes]] = field(default_factory=list)
    """Channel and payload, in order."""
    seconds: float = 0.0


def read_claims(jobs: Sequence[Sequence[bytes]]) -> list[Claim]:
    """Return claimed jobs, as the scripts answer them."""
    return [
        Claim(
            id_ := job_id.decode(),
            _read(id_, data),
            created.decode("utf-8", "replace"),
            _read_number(attempts) or 0,
            bool(failed),
        )
        for job_id, data, created, attempts, failed in jobs
    ]


def read_epoch(epoch: bytes) -> int | None:
    """Return a lane's epoch, as the scripts answer it; None if it must be taken over in the database."""
    return _read_number(epoch)


def _read_number(text: bytes) -> int | None:
    """Return a number that chatq wrote; None for anything else, which somebody wrote by hand."""
    return int(text) if text.isdigit() and len(text) < 19 else None


def _read(job_id: str, data: bytes) -> MessageJob | JobRefused:
    if len(job_id) > MAX_JOB_ID:
        return JobRefused(f"The job's id has more than {MAX_JOB_ID} characters.")
    try:
        return decode_job(data)
    except JobRefused as error:
        return error
