"""Jobs for users' handlers: ordinary RQ jobs, enqueued by name."""

from __future__ import annotations

from typing import Any

import redis
from rq import Queue

from chatq.domain.jobs import function_name
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.queue.jobs import ChatqJob, JsonSerializer


def enqueue_handler_job(client: redis.Redis, name: str, data: Any) -> str:
    """Enqueue a job for the handler ``name`` and return the job's id.

    An object's members become keyword arguments of the handler; any other data its only argument.

    Raises:
        InvalidFields: ``name`` is no job name.
        RedisError: it could not be enqueued.
    """
    function = function_name(name)
    args, kwargs = ((), data) if isinstance(data, dict) else ((data,), {})
    with translated():
        job = handler_queue(client).enqueue_call(
            function, args=args, kwargs=kwargs, description=name, meta={"name": name}
        )
    return str(job.id)


def handler_queue(client: redis.Redis, name: str = keys.HANDLERS) -> Queue:
    """Return the RQ queue ``name``, with chatq's job class and serializer."""
    return Queue(name, connection=client, job_class=ChatqJob, serializer=JsonSerializer)
