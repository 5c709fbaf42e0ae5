"""Jobs: what became of one."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, cast

import msgspec
from flask import request
from redis import Redis
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import JobStatus

from chatq.access.callers import Caller
from chatq.access.finding import find, last_line
from chatq.access.rules import Rules
from chatq.domain.clock import render
from chatq.domain.jobs import FUNCTION_PREFIX, MESSAGE_FUNCTIONS, NAMES, MessageJob, SendMessage
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.domain.wire import Timestamp, Wire
from chatq.errors import JobRefused, UnknownJob, UnknownMessage
from chatq.queue import keys
from chatq.queue.codec import decode_job
from chatq.queue.connection import translated
from chatq.queue.jobs import FAILED_STATES, ChatqJob
from chatq.store.jobs import JobTrace, find_job
from chatq.web.answers import Answer, json_answer
from chatq.web.identity import caller
from chatq.web.requests import check_job_id
from chatq.web.services import Services

_MADE_BY = {
    "newMessage": "sendMessage",
    "messageEdited": "editMessage",
    "messageDeleted": "deleteMessage",
    "messageStatus": "updateMessageStatus",
}
"""The job that makes each type of event."""

_TRIED = frozenset((JobStatus.STARTED, JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED))
"""States in which the last attempt is not counted among the retries yet."""


class JobDocument(Wire):
    """What became of a job; of one whose event alone is kept, less is known."""

    job_id: str
    name: str | None
    """What it was asked for as, like ``sendMessage``; ``null`` if that is not known."""
    state: Annotated[str, msgspec.Meta(extra_json_schema={"enum": [state.value for state in JobStatus]})]
    """As RQ calls it."""
    attempts: int | None
    created_at: Timestamp | None
    enqueued_at: Timestamp | None
    started_at: Timestamp | None
    """When its last attempt began."""
    ended_at: Timestamp | None
    error: str | None
    """Why it failed: the last line of its traceback."""


class Jobs:
    """The routes under ``/api/jobs``."""

    def __init__(self, services: Services, rules: Rules) -> None:
        self._services = services
        self._rules = rules

    def show(self, job_id: str) -> Answer:
        """Tell what became of a job; of a message's job that is done, its event tells."""
        check_job_id(job_id)
        who = caller(request.environ)
        job = _find(self._services.redis, job_id)
        if job is not None:
            if not who.unrestricted:
                self._check(who, job)
            return json_answer(_in_redis(self._services.redis, job))
        trace = find_job(self._services.engine, job_id)
        if trace is None:
            raise UnknownJob
        if trace.sender_id is not None:
            self._rules.check_learning_of_failure(who, trace.sender_id)
        else:
            self._rules.check_job(who, trace.conversation_id)
        return json_answer(_in_database(job_id, trace))

    def _check(self, who: Caller, job: ChatqJob) -> None:
        """Let a caller see a job; what would have made a message, and failed, is for its sender alone."""
        try:
            asked = decode_job(job.data)
        except JobRefused:
            self._rules.check_job(who, None)
            return
        if isinstance(asked, SendMessage) and job.get_status(refresh=False).value in FAILED_STATES:
            self._rules.check_learning_of_failure(who, asked.message_data.sender_id or DEVELOPMENT_USER)
        else:
            self._rules.check_job(who, self._conversation(asked))

    def _conversation(self, job: MessageJob) -> str | None:
        """Return in which conversation a job does something; None if in none."""
        if job.conversation_id is not None:
            return job.conversation_id
        try:
            return find(self._services.engine, self._services.redis, job.message_id).conversation_id
        except UnknownMessage:
            return None


def _find(redis: Redis, job_id: str) -> ChatqJob | None:
    job = ChatqJob(job_id, connection=redis)
    with translated():
        try:
            job.refresh()  # type: ignore[no-untyped-call]  # RQ types it not
        except NoSuchJobError:
            return None
    return job


def _in_redis(redis: Redis, job: ChatqJob) -> JobDocument:
    with translated():
        error = _error(redis, job)
    status = job.get_status(refresh=False)
    return JobDocument(
        job_id=job.id,
        name=_name(job),
        state=status.value,
        attempts=(job.number_of_retries or 0) + (1 if status in _TRIED else 0),
        created_at=_time(job.created_at),
        enqueued_at=_time(job.enqueued_at),
        started_at=_time(job.started_at),
        ended_at=_time(job.ended_at),
        error=error,
    )


def _in_database(job_id: str, trace: JobTrace) -> JobDocument:
    return JobDocument(
        job_id=job_id,
        name=_MADE_BY.get(trace.event_type or ""),
        state="failed" if trace.event_type is None else "finished",
        attempts=None,
        created_at=None,
        enqueued_at=None,
        started_at=None,
        ended_at=trace.ended_at,
        error=trace.reason,
    )


def _name(job: ChatqJob) -> str | None:
    """Return the job's name as it was asked for; None if its data cannot be read."""
    try:
        function = job.func_name or ""
    except DeserializationError:
        return None
    if function in MESSAGE_FUNCTIONS:
        return NAMES[MESSAGE_FUNCTIONS[function]]
    if not function.startswith(FUNCTION_PREFIX):
        return function
    name = function.removeprefix(FUNCTION_PREFIX)
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def _error(redis: Redis, job: ChatqJob) -> str | None:
    """Return the last line of the last attempt's traceback: RQ's workers keep it apart, chatq's in the job."""
    try:
        result = job.latest_result()
    except ValueError:
        # A result that is not JSON was not made by chatq.
        result = None
    if result is not None and result.exc_string:
        return last_line(result.exc_string.encode())
    return last_line(cast("bytes | None", redis.hget(keys.job(job.id), "exc_info")))


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else render(moment)
