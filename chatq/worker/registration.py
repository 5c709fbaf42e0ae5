"""A message worker as RQ's tools see it: registered and alive. The lanes' scripts show whether it is busy."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import redis
from rq import Worker
from rq.worker import WorkerStatus
from rq.worker_registration import clean_worker_registry

from chatq.queue import keys
from chatq.queue.jobs import ChatqJob, JsonSerializer

TTL_SECONDS = 15
"""How long a worker that died without a word is still listed."""
HEARTBEAT_SECONDS = 3.0


def new_name(role: str) -> str:
    """Return a worker name that tells host and process, and is never used twice."""
    return f"{role}.{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:8]}"


def is_entered(worker: Worker) -> bool:
    """Tell whether RQ's registers have the worker; a mere heartbeat may have been written after Redis was emptied."""
    return bool(worker.connection.hexists(worker.key, "birth"))


def enter(worker: Worker) -> None:
    """Enter the worker into RQ's registers, instead of what they have of it."""
    worker.connection.delete(worker.key)
    worker.register_birth()
    worker.connection.expire(worker.key, TTL_SECONDS)
    worker.set_state(WorkerStatus.IDLE)


class _Entry(Worker):
    """RQ's worker as far as its registers go."""

    @property
    def connection_timeout(self) -> int:
        """What RQ would raise the client's timeout to, which is not its own: no more than there is."""
        return 0


class Registration:
    """Keeps the RQ registration of a worker that has a loop of its own, and shows its supervisor that it lives."""

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        lanes: int,
        check: Callable[[], None],
        give_sign: Callable[[], None] | None = None,
    ) -> None:
        """Take a client and what to register.

        ``check`` is called at each registration, also after Redis was emptied: it records whose Redis this is,
        or raises. ``give_sign`` shows the supervisor, if there is one, a sign of life.
        """
        self._check = check
        self.name = name
        self._client = client
        self._give_sign = give_sign
        queues = [keys.MESSAGES, *(keys.lane_name(lane) for lane in range(lanes))]
        self._worker: Worker = _Entry(
            queues, name=name, connection=client, job_class=ChatqJob, serializer=JsonSerializer, worker_ttl=TTL_SECONDS
        )
        self._beat_at = 0.0

    def register(self) -> None:
        """Enter the worker into RQ's registers, and take out those that died without a word.

        Raises:
            OtherInstallation: Redis belongs to another database.
            BadSetting: Redis has another number of lanes.
        """
        self._check()
        for queue in self._worker.queues:
            clean_worker_registry(queue)
        enter(self._worker)

    def beat(self) -> None:
        """Show that the worker lives: a supervisor each time, RQ's tools if they have not seen it for some seconds."""
        if self._give_sign is not None:
            self._give_sign()
        now = time.monotonic()
        if now - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = now
        # A worker that cannot be entered, since Redis's memory is full, is to work all the same: it makes room.
        with suppress(redis.OutOfMemoryError):
            if not is_entered(self._worker):
                # Redis was emptied, or the worker slept for long.
                self.register()
            self._worker.heartbeat(TTL_SECONDS)

    def unregister(self) -> bool:
        """Take the worker out of RQ's registers."""
        self._worker.register_death()
        return True
