"""The edge: where jobs are accepted.

Jobs that arrive together share one pipeline over one connection, in the order in which they came; a batch
is whatever is there, and nothing waits to fill one.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import copy
from itertools import chain
from typing import NamedTuple

import redis

from chatq.domain.rate import Rate, Usage
from chatq.errors import ChatqError, DurabilityUnknown, IdempotencyMismatch, RateLimited
from chatq.queue import keys
from chatq.queue.codec import QueuedJob
from chatq.queue.connection import translated
from chatq.queue.durability import check_confirmed, find_confirmation
from chatq.queue.pressure import Pressure
from chatq.queue.scripts import Argument, Command, evalsha, run_pipeline, with_source
from chatq.settings import Durability

REMEMBERED_SECONDS = 24 * 3600
"""How long a client id used for other content is recognised."""
SCRIPT_JOBS = 250
"""How many jobs one script accepts: calling it costs as much as ten jobs, but nobody else is served meanwhile."""
_QUEUED, _REPEAT, _MISMATCH, _TOO_MANY = 0, 1, 2, 3


class Accepted(NamedTuple):
    """What the sender learns of a job that was accepted."""

    message_id: str
    job_id: str
    repeat: bool
    """True if the same job had been accepted before, so that nothing was queued."""
    usage: Usage | None = None
    """What its user has used up of the limit; None if there is none, or it did not count."""


class _Waiting:
    """One caller's jobs, and what became of them."""

    __slots__ = ("_turn", "done", "jobs", "outcome")

    def __init__(self, jobs: Sequence[QueuedJob]) -> None:
        self.jobs = jobs
        self.done = False
        self.outcome: list[Accepted | ChatqError] | ChatqError = []
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        """Wait for :meth:`wake`, which may have come before."""
        self._turn.acquire()

    def wake(self) -> None:
        """Let the caller go on: its outcome is there, or it is to lead."""
        self._turn.release()


class Edge:
    """Accepts jobs into their lanes, with the asked-for durability.

    May be used by many threads or greenlets at once.
    """

    def __init__(
        self, client: redis.Redis, durability: Durability, pressure: Pressure, rate: Rate | None = None
    ) -> None:
        """Take a client that is used for nothing else: its connection orders what is accepted.

        ``rate`` is how much each user may send; None for as much as they like.

        Raises:
            RedisUnfit: the server cannot give the durability.
            RedisUnavailable: the server does not answer.
        """
        self._client = client
        self._script = "enqueue" if rate is None else "enqueue_limited"
        self._confirm = find_confirmation(client, durability)
        self._pressure = pressure
        self._rate = rate
        self._limit: list[Argument] = [] if rate is None else [keys.SENT, rate.share, rate.whole]
        self._lock = threading.Lock()
        """Held for a moment only, never while Redis is waited for."""
        self._waiting: list[_Waiting] = []
        self._led = False
        """Whether some caller is sending, or about to."""

    def submit(self, job: QueuedJob) -> Accepted:
        """Accept one job.

        Raises:
            IdempotencyMismatch: its client id was used for other content.
            RateLimited: its user has sent too many of late.
            RedisError: it could not be accepted, or it is unknown whether it was.
        """
        outcome = self.submit_many([job])[0]
        if isinstance(outcome, ChatqError):
            raise outcome
        return outcome

    def submit_many(self, jobs: Sequence[QueuedJob]) -> list[Accepted | ChatqError]:
        """Accept jobs in their order; for each, say how it was accepted or why not.

        Raises:
            Overloaded: none is accepted at present.
            RedisError: none could be accepted, or it is unknown which were.
        """
        mine = _Waiting(jobs)
        with self._lock:
            self._waiting.append(mine)
            led, self._led = self._led, True
        if led:
            mine.wait()
        if not mine.done:
            self._lead(mine)
        if isinstance(mine.outcome, ChatqError):
            # Each waiter gets an exception of its own: a shared one would collect foreign tracebacks.
            raise copy(mine.outcome)
        return mine.outcome

    def _lead(self, mine: _Waiting) -> None:
        """Send for everyone who waits, and hand the lead to the first of those who came meanwhile.

        One lock held over the round trip would do as well, but for its fairness: under gevent, whoever comes
        anew gets it before those who wait, so that few share a pipeline and some wait very long.
        """
        with self._lock:
            together, self._waiting = self._waiting, []
        try:
            self._flush(together)
        finally:
            with self._lock:
                successor = self._waiting[0] if self._waiting else None
                self._led = successor is not None
            for waiting in together:
                if not waiting.done:
                    # Broken off, by whatever ends this process.
                    waiting.outcome, waiting.done = DurabilityUnknown("It is unknown whether Redis took it."), True
                if waiting is not mine:
                    waiting.wake()
            if successor is not None:
                successor.wake()

    def _flush(self, together: list[_Waiting]) -> None:
        jobs = [job for waiting in together for job in waiting.jobs]
        try:
            with translated():
                answers = self._send(jobs)
        except ChatqError as error:
            for waiting in together:
                waiting.outcome, waiting.done = error, True
            return
        at = 0
        for waiting in together:
            waiting.outcome = [self._outcome(job, answers[at + i]) for i, job in enumerate(waiting.jobs)]
            waiting.done = True
            at += len(waiting.jobs)

    def _send(self, jobs: Sequence[QueuedJob]) -> list[int]:
        if self._pressure.due:
            self._measure()
        self._pressure.check(len(jobs))
        commands = [self._command(jobs[at : at + SCRIPT_JOBS]) for at in range(0, len(jobs), SCRIPT_JOBS)]
        if len(commands) > 1:
            # The first is never done after the others.
            commands = [with_source(command, [self._script]) for command in commands]
        if self._confirm:
            commands.append(self._confirm)
        answers = run_pipeline(self._client, [self._script], commands)
        if self._confirm:
            check_confirmed(self._confirm, answers.pop())
        return list(chain.from_iterable(answers))

    def _measure(self) -> None:
        self._pressure.update(run_pipeline(self._client, ["pressure"], self._pressure.commands()))

    def _command(self, jobs: Sequence[QueuedJob]) -> Command:
        arguments: list[Argument] = [keys.RQ, keys.SEEN, REMEMBERED_SECONDS, *self._limit]
        for job in jobs:
            lane = keys.lane_name(job.lane)
            arguments += (job.job_id, job.digest, job.data, lane, job.created_at, job.description)
            if self._rate is not None:
                arguments.append(job.user)
        return evalsha(self._script, [keys.DOORBELL, keys.QUEUES], arguments)

    def _outcome(self, job: QueuedJob, answer: int) -> Accepted | ChatqError:
        if self._rate is not None and answer > _TOO_MANY:
            usage = Usage(self._rate, answer // 4)
            if answer % 4 == _TOO_MANY:
                return _refusal(usage)
            return Accepted(job.message_id, job.job_id, False, usage)
        if answer == _MISMATCH:
            return IdempotencyMismatch()
        return Accepted(job.message_id, job.job_id, answer == _REPEAT)


def _refusal(usage: Usage) -> RateLimited:
    rate = usage.rate
    return RateLimited(
        f"At most {rate.count} messages every {rate.seconds:g} seconds may be sent (CHATQ_RATE_LIMIT).",
        usage.wait_seconds,
        quota=rate.count,
        window_seconds=int(rate.seconds),
    )
