"""chatq's Job class: an RQ job that runs, calls and fetches only what is registered.

It is the only job class in every chatq process, readers included, since RQ calls callbacks even while it
counts a registry. RQ's storage format stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from rq.defaults import DEFAULT_RESULT_TTL
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.queue import Queue

from chatq.errors import UnregisteredJob
from chatq.queue.handlers import REGISTRY, Handler, callback_name
from chatq.queue.retry import backoff

FAILED_STATES = frozenset(state.value for state in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED))
"""The states of jobs that will not be done, unless somebody requeues them."""
WAITING_STATES = frozenset(state.value for state in JobStatus) - FAILED_STATES - {JobStatus.FINISHED.value}
"""Those of jobs that are still to be done, or being done; a retry waits in one of them as well."""

_JSON_ERRORS = (msgspec.DecodeError, UnicodeError, RecursionError)


class JsonSerializer:
    """RQ's serializer interface, for JSON and nothing else."""

    @staticmethod
    def dumps(value: object) -> bytes:
        """Return ``value`` as JSON."""
        return msgspec.json.encode(value)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the value that ``data`` describes.

        Raises:
            ValueError: it is not JSON, e.g. a pickle.
        """
        try:
            return msgspec.json.decode(data)
        except _JSON_ERRORS as error:
            raise ValueError(f"The job's data are not JSON: {error}") from None


class ChatqJob(Job):
    """An RQ job whose function and callbacks are looked up among the registered ones."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002  # RQ's name
        connection: Any = None,
        serializer: Any = None,
    ) -> None:
        # Whatever a caller or RQ's defaults ask for: JSON alone is safe to read.
        super().__init__(id, connection=connection, serializer=JsonSerializer)

    def restore(self, raw_data: Any) -> Any:
        """Take the job's properties from Redis; stored webhooks are dropped, chatq registers none.

        Raises:
            NoSuchJobError: what is stored is no job; RQ's readers go on without it.
        """
        try:
            result = super().restore(raw_data)
        except (ValueError, AssertionError) as error:  # what RQ's conversions raise
            raise NoSuchJobError(f"Job {self.id} cannot be read: {error}") from None
        self.webhooks = []
        return result

    def find_handler(self) -> Handler:
        """Return the registered handler of this job.

        Raises:
            UnregisteredJob: there is none, or the job names a callback that is not registered, or its data
                cannot be read.
        """
        try:
            handler = REGISTRY.find(str(self.func_name))
        except DeserializationError:
            raise UnregisteredJob(
                "The job's data are not JSON; chatq reads jobs of RQ's JSON serializer only, so it was not run."
            ) from None
        for name in (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name):
            if name and REGISTRY.callback(name) is None:
                raise UnregisteredJob(f"The job's callback {name!r} is not registered, so the job was not run.")
        return handler

    def adopt(self, handler: Handler) -> None:
        """Take over what the handler says of timeout, attempts, results and callbacks.

        What the job itself was enqueued with wins, where it differs from RQ's own default.
        """
        if self.timeout is None or self.timeout == Queue.DEFAULT_TIMEOUT:
            self.timeout = handler.timeout
        if self.retries_left is None:
            self.retries_left = handler.attempts - 1
        if self.result_ttl is None or self.result_ttl == DEFAULT_RESULT_TTL:
            self.result_ttl = handler.result_ttl
        if handler.on_success and not self._success_callback_name:
            self._success_callback_name = callback_name(handler.on_success)
        if handler.on_failure and not self._failure_callback_name:
            self._failure_callback_name = callback_name(handler.on_failure)

    def get_retry_interval(self) -> int:
        """Return the seconds until the next attempt: the job's own intervals, else exponential with jitter."""
        if self.retry_intervals:
            return super().get_retry_interval()
        attempts = REGISTRY.find(str(self.func_name)).attempts
        # RQ keeps whole seconds.
        return math.ceil(backoff(max(1, attempts - (self.retries_left or 0))))

    @property
    def func(self) -> Callable[..., Any]:
        """The registered function of this job."""
        return self.find_handler().function

    @property
    def instance(self) -> None:
        """Always None: functions are looked up by name, never as methods of stored objects."""
        return None

    @instance.setter
    def instance(self, value: object) -> None:
        self._instance = None

    @property
    def success_callback(self) -> Callable[..., Any] | None:
        """The registered success callback that the job names, or None."""
        return REGISTRY.callback(self._success_callback_name) if self._success_callback_name else None

    @property
    def failure_callback(self) -> Callable[..., Any] | None:
        """The registered failure callback that the job names; None too while RQ, that calls it, will try again."""
        if not self._failure_callback_name or self.should_retry:
            return None
        return REGISTRY.callback(self._failure_callback_name)

    @property
    def stopped_callback(self) -> Callable[..., Any] | None:
        """The registered stopped callback that the job names, or None."""
        return REGISTRY.callback(self._stopped_callback_name) if self._stopped_callback_name else None
