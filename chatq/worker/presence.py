"""A message worker as RQ's tools see it: registered and alive. The lanes' scripts show whether it is busy."""

from __future__ import annotations

import os
import socket
import time
from uuid import uuid4

import redis
from rq import Worker
from rq.worker import WorkerStatus

from chatq.queue import keys
from chatq.queue.jobs import ChatqJob, JsonSerializer

TTL_SECONDS = 15
"""How long a worker that died without a word is still listed."""
HEARTBEAT_SECONDS = 3.0


def new_name(role: str) -> str:
    """Return a worker name that tells host and process, and is never used twice."""
    return f"{role}.{socket.gethostname()}.{os.getpid()}.{uuid4().hex[:8]}"


class Presence:
    """Keeps the RQ registration of a worker that has a loop of its own."""

    def __init__(self, client: redis.Redis, name: str, lanes: int) -> None:
        self.name = name
        self._client = client
        queues = [keys.MESSAGES, *(keys.lane_name(lane) for lane in range(lanes))]
        self._worker = Worker(
            queues, name=name, connection=client, job_class=ChatqJob, serializer=JsonSerializer, worker_ttl=TTL_SECONDS
        )
        self._beat_at = 0.0

    def register(self) -> None:
        """Enter the worker into RQ's registers."""
        self._worker.register_birth()
        self._client.expire(self._worker.key, TTL_SECONDS)
        self._worker.set_state(WorkerStatus.IDLE)

    def beat(self) -> None:
        """Show that the worker lives, if it has not been shown for some seconds."""
        now = time.monotonic()
        if now - self._beat_at < HEARTBEAT_SECONDS:
            return
        self._beat_at = now
        if not self._client.exists(self._worker.key):
            # Redis was emptied, or the worker slept for long.
            self.register()
        self._worker.heartbeat(TTL_SECONDS)

    def unregister(self) -> bool:
        """Take the worker out of RQ's registers."""
        self._worker.register_death()
        return True
