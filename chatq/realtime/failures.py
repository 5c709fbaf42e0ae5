"""Messages that failed while their sender was away."""

from __future__ import annotations

from collections.abc import Sequence

import redis
import structlog
from sqlalchemy import Engine

from chatq.domain.clock import timestamp
from chatq.domain.events import MessageFailed, to_payload
from chatq.domain.jobs import SendMessage
from chatq.errors import DatabaseError, JobRefused, RedisError
from chatq.queue import keys
from chatq.queue.codec import decode_job
from chatq.queue.connection import translated
from chatq.realtime.connection import Connection
from chatq.realtime.framing import text_frame
from chatq.store.failures import Failure, pending_failures, resolve_failures

log = structlog.get_logger("chatq.realtime")


def tell_failures(connection: Connection, engine: Engine, client: redis.Redis, user_id: str) -> None:
    """Send a user's connection the failures that the user does not know of, and record it once they have arrived.

    Raises:
        DatabaseError: the database cannot be asked.
    """
    failures = pending_failures(engine, user_id)
    if not failures:
        return
    client_ids = find_client_ids(client, failures)
    for failure, client_id in zip(failures, client_ids, strict=True):
        event = MessageFailed(message_id=failure.message_id, client_message_id=client_id, reason=failure.reason)
        connection.send(text_frame(to_payload(event).encode()))

    def record() -> None:
        try:
            resolve_failures(engine, [failure.job_id for failure in failures], timestamp())
            tell_failures(connection, engine, client, user_id)
        except DatabaseError as error:
            log.info("failures that were told will be told again", reason=error.detail)

    connection.when_received(record)


def find_client_ids(client: redis.Redis, failures: Sequence[Failure]) -> list[str | None]:
    """Return the client's own ids of messages that failed, where Redis still has their jobs."""
    try:
        with translated(), client.pipeline(transaction=False) as pipe:
            for failure in failures:
                pipe.hget(keys.job(failure.job_id), "data")
            found = pipe.execute()
    except RedisError:
        # The message's own id is enough to know it by.
        return [None] * len(failures)
    return [_client_id(data) for data in found]


def _client_id(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        job = decode_job(data)
    except JobRefused:
        return None
    return job.message_data.client_message_id if isinstance(job, SendMessage) else None
