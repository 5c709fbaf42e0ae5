"""What becomes of jobs, and whether anybody is there to do them, as RQ's keys tell."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis
from rq.exceptions import InvalidJobOperation, NoSuchJobError

from chatq.queue import keys
from chatq.queue.jobs import FAILED_STATES, WAITING_STATES, ChatqJob

_POLL_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A job that failed."""

    job_id: str
    reason: str
    """Last line of its traceback."""


def has_worker(client: redis.Redis, queue: str) -> bool:
    """Tell whether a live worker listens to the RQ queue ``queue``.

    Raises:
        redis.RedisError: Redis cannot be used.
    """
    workers = client.smembers(f"{keys.RQ}:workers:{queue}")
    return any(client.exists(worker) for worker in workers)


def find_waiting(client: redis.Redis, message_ids: set[str]) -> set[str]:
    """Return those of these messages that wait, in the queue or for another attempt, to be stored.

    Raises:
        redis.RedisError: Redis cannot be used.
    """
    return {message_id for message_id, state in _states(client, sorted(message_ids)) if state in WAITING_STATES}


def wait_for(client: redis.Redis, job_ids: Sequence[str], on_progress: Callable[[int], None]) -> list[JobFailure]:
    """Wait until none of these jobs waits or runs any more; return those that failed.

    ``on_progress`` is told now and then how many are done.

    A message job that is done is gone from Redis, a handler's job is in state finished. Redis tells nobody
    when that happens, so it is asked, in pipelines and at growing intervals.

    Raises:
        redis.RedisError: Redis cannot be used.
    """
    failures: list[JobFailure] = []
    left = list(job_ids)
    pauses = itertools.chain(_POLL_SECONDS, itertools.repeat(_POLL_SECONDS[-1]))
    while left:
        states = _states(client, left[:1000])
        still = [job_id for job_id, state in states if state not in _OVER]
        failures += [_failure(client, job_id) for job_id, state in states if state in FAILED_STATES]
        left = still + left[1000:]
        on_progress(len(job_ids) - len(left))
        if len(still) == len(states):
            time.sleep(next(pauses))
    return failures


_OVER = {None, "finished", *FAILED_STATES}
"""What is anything else will be: a worker fails a job in a state that nobody knows."""


def _states(client: redis.Redis, job_ids: Sequence[str]) -> list[tuple[str, str | None]]:
    with client.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.hget(keys.job(job_id), "status")
        answers = pipe.execute()
    return [
        (job_id, answer.decode(errors="replace") if answer else None)
        for job_id, answer in zip(job_ids, answers, strict=True)
    ]


def _failure(client: redis.Redis, job_id: str) -> JobFailure:
    try:
        job = ChatqJob.fetch(job_id, connection=client)
        result = job.latest_result()
    except (NoSuchJobError, InvalidJobOperation):
        there = client.exists(keys.job(job_id))
        return JobFailure(job_id, "what Redis has of it cannot be read" if there else "it is gone from Redis")
    text = ((result.exc_string if result else None) or "").strip()
    return JobFailure(job_id, text.splitlines()[-1] if text else str(job.get_status(refresh=False).value))
