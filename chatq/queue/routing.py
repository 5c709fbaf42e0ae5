"""The router: moves jobs that plain RQ clients put into ``messages`` to their lanes, in order."""

from __future__ import annotations

from uuid import uuid4

import redis

from chatq.errors import JobRefused
from chatq.queue import keys
from chatq.queue.codec import decode_job, encode_job, lane_of_job
from chatq.queue.connection import as_bytes
from chatq.queue.scripts import Argument, run

AT_ONCE = 500
LEASE_MS = 3500
"""How long another worker waits for one that died, or sleeps, while it routes."""


class Router:
    """Routes for one worker; a lease of its own keeps two from reordering what they move."""

    def __init__(self, client: redis.Redis, lanes: int) -> None:
        self._client = client
        self._lanes = lanes
        self._token = uuid4().hex

    def route(self) -> int:
        """Move what waits in ``messages``, some hundreds at most, and return how many jobs were moved.

        Raises:
            redis.RedisError: Redis cannot be used.
        """
        if not run(self._client, "route_lease", [keys.ROUTER], [self._token, LEASE_MS]):
            return 0
        # As they are: one that is no text is not to stop the others, and the lane's worker knows what to do with it.
        ids = [as_bytes(raw) for raw in self._client.lrange(keys.queue(keys.MESSAGES), 0, AT_ONCE - 1)]
        with self._client.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hget(keys.JOB.encode() + job_id, "data")
            data = pipe.execute()
        arguments: list[Argument] = [self._token, keys.RQ]
        for job_id, stored in zip(ids, data, strict=True):
            arguments += [job_id, *self._destination(stored or b"")]
        own_keys = [keys.queue(keys.MESSAGES), keys.DOORBELL, keys.QUEUES, keys.ROUTER]
        moved = int(run(self._client, "route", own_keys, arguments))
        if moved < 0:
            # It took so long that the lease is over, and another's perhaps by now.
            return 0
        self._client.delete(keys.ROUTER)
        return moved

    def _destination(self, data: bytes) -> tuple[str, bytes]:
        try:
            job = decode_job(data)
        except JobRefused:
            # Some lane's worker says what is wrong with it, and keeps the record.
            return keys.lane_name(0), data
        return keys.lane_name(lane_of_job(job, self._lanes)), encode_job(job)
