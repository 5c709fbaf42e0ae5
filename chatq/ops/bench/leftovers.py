"""What a run leaves in Redis: jobs that nobody did, and the registration of its worker. Removed."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import redis

from chatq.domain.jobs import SendMessage
from chatq.errors import JobRefused
from chatq.queue import keys
from chatq.queue.codec import decode_job
from chatq.queue.connection import as_text, translated
from chatq.queue.lanes import LEASE_MS

CLAIMED_SECONDS = LEASE_MS / 1000 + 1
"""How long to wait for a worker of others that has claimed the run's jobs; after its lease it is dead."""
_LOOK_SECONDS = 0.05
_AT_ONCE = 1000


def remove_jobs(client: redis.Redis, lanes: int, prefix: str) -> None:
    """Remove every job whose conversation's id begins with ``prefix``, wherever it lies in the lanes.

    Nothing may add any while this runs.

    Raises:
        RedisError: Redis does not answer.
    """
    deadline = time.monotonic() + CLAIMED_SECONDS
    with translated():
        while True:
            for lane in range(lanes):
                _remove(client, lane, _find(client, _waiting(client, lane), prefix))
            claimed = {lane: _find(client, _listed(client, keys.claims(lane)), prefix) for lane in range(lanes)}
            if not any(claimed.values()):
                return
            if time.monotonic() > deadline:
                for lane, job_ids in claimed.items():
                    _remove(client, lane, job_ids)
                return
            time.sleep(_LOOK_SECONDS)


def remove_worker(client: redis.Redis, lanes: int, pid: int) -> None:
    """Remove what RQ keeps, for some time, of a message worker of this machine that has ended.

    Raises:
        RedisError: Redis does not answer.
    """
    queues = [keys.MESSAGES, *map(keys.lane_name, range(lanes))]
    # `worker.registration` gives the name.
    pattern = f"{keys.RQ}:worker:messages.{socket.gethostname()}.{pid}.*"
    with translated():
        for key in client.scan_iter(pattern, count=_AT_ONCE):
            with client.pipeline(transaction=False) as pipe:
                for registry in (f"{keys.RQ}:workers", *(f"{keys.RQ}:workers:{queue}" for queue in queues)):
                    pipe.srem(registry, key)
                pipe.unlink(key)
                pipe.execute()


def _waiting(client: redis.Redis, lane: int) -> list[str]:
    """Return the ids of all the lane's jobs that nobody has claimed."""
    found = _listed(client, keys.queue(keys.lane_name(lane)))
    for registry in _registries(lane):
        found += [as_text(member) for member in client.execute_command("ZRANGE", registry, 0, -1)]
    return found


def _registries(lane: int) -> list[str]:
    name = keys.lane_name(lane)
    return [f"{keys.RQ}:scheduled:{name}", f"{keys.RQ}:deferred:{name}", keys.failed(name)]


def _listed(client: redis.Redis, key: str) -> list[str]:
    return [as_text(member) for member in client.lrange(key, 0, -1)]


def _find(client: redis.Redis, job_ids: Sequence[str], prefix: str) -> list[str]:
    """Return those of the jobs that make a message in a conversation of the run."""
    found = []
    for at in range(0, len(job_ids), _AT_ONCE):
        some = job_ids[at : at + _AT_ONCE]
        with client.pipeline(transaction=False) as pipe:
            for job_id in some:
                pipe.hget(keys.job(job_id), "data")
            found += [job_id for job_id, data in zip(some, pipe.execute(), strict=True) if _is_own(data, prefix)]
    return found


def _is_own(data: bytes | None, prefix: str) -> bool:
    if data is None or prefix.encode() not in data:
        return False
    try:
        job = decode_job(data)
    except JobRefused:
        return False
    return isinstance(job, SendMessage) and job.conversation_id.startswith(prefix)


def _remove(client: redis.Redis, lane: int, job_ids: Sequence[str]) -> None:
    name = keys.lane_name(lane)
    for at in range(0, len(job_ids), _AT_ONCE):
        with client.pipeline(transaction=False) as pipe:
            for job_id in job_ids[at : at + _AT_ONCE]:
                # Without its hash a job is none, for every script; the rest is tidying up.
                pipe.unlink(keys.job(job_id))
                pipe.lrem(keys.queue(name), 1, job_id)
                pipe.lrem(keys.claims(lane), 1, job_id)
                pipe.zrem(keys.started(name), f"{job_id}:lane")
                for registry in _registries(lane):
                    pipe.zrem(registry, job_id)
            pipe.execute()
