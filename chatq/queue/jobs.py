"""chatq's Job class: an RQ job that runs, calls and fetches only what is registered.

It is the only job class in every chatq process, readers included, since RQ calls callbacks even while it
counts a registry. RQ's storage format stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from rq.job import Job

from chatq.queue.handlers import REGISTRY, Handler

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

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:
        # Whatever a caller or RQ's defaults ask for: JSON alone is safe to read.
        super().__init__(id, connection=connection, serializer=JsonSerializer)

    def restore(self, raw_data: Any) -> Any:
        """Take the job's properties from Redis; stored webhooks are dropped, chatq registers none."""
        result = super().restore(raw_data)
        self.webhooks = []
        return result

    @property
    def handler(self) -> Handler:
        """The registered handler of this job.

        Raises:
            UnregisteredJob: there is none.
        """
        return REGISTRY.find(self.func_name or "")

    @property
    def func(self) -> Callable[..., Any]:
        """The registered function of this job."""
        return self.handler.function

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
        """The registered failure callback that the job names, or None."""
        return REGISTRY.callback(self._failure_callback_name) if self._failure_callback_name else None

    @property
    def stopped_callback(self) -> Callable[..., Any] | None:
        """The registered stopped callback that the job names, or None."""
        return REGISTRY.callback(self._stopped_callback_name) if self._stopped_callback_name else None
