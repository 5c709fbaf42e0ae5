"""chatq's Job class on jobs that somebody planted: none of them runs anything, and each can be looked at."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError

from chatq.errors import UnregisteredJob
from chatq.queue import keys
from chatq.queue.handler_jobs import handler_queue
from chatq.queue.jobs import ChatqJob
from tests.parts.valkey import Valkey


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Redis]:
    client = Redis.from_url(valkey.url)
    yield client
    client.close()


def test_a_job_that_was_pickled_is_refused_and_never_unpickled(client: Redis, tmp_path: Path) -> None:
    # Given a job of RQ's own default serializer, whose arguments and meta would create files
    job = Queue("default", connection=client).enqueue(
        "os.system", Trap(tmp_path / "argument"), meta={"a": Trap(tmp_path / "meta")}
    )
    # When chatq reads it
    read = fetch(client, job.id)
    # Then it is refused, with a reason that tells which serializer is meant
    with pytest.raises(UnregisteredJob, match="JSON"):
        read.find_handler()
    assert list(tmp_path.iterdir()) == []


GARBAGE = {
    "created_at": b"yesterday",
    "timeout": b"soon",
    "result_ttl": b"long",
    "dependency_ids": b"{",
    "status": b"unheard-of",
    "origin": b"\xff",
    "description": b"\xff\xfe",
    "retry_intervals": b"[",
    "number_of_retries": b"many",
    "success_callback_name": b"\xff",
}


@pytest.mark.parametrize("field", GARBAGE)
def test_a_job_with_garbage_in_a_field_is_none(client: Redis, field: str) -> None:
    # Given a job in which somebody wrote garbage by hand, and a good one behind it
    bad, good = (planted(client) for _ in range(2))
    client.hset(keys.job(bad.id), field, GARBAGE[field])
    # Then RQ's readers go on without it
    with pytest.raises(NoSuchJobError):
        fetch(client, bad.id)
    queue = handler_queue(client)
    assert [job.id for job in queue.jobs] == [good.id]


@pytest.mark.parametrize("meta", [pickle.dumps({"a": 1}), b"[1, 2]", b"\xff"])
def test_meta_that_cannot_be_read_keep_no_job_from_being_refused(client: Redis, meta: bytes) -> None:
    job = planted(client)
    client.hset(keys.job(job.id), "meta", meta)
    with pytest.raises(UnregisteredJob, match="No handler is registered"):
        fetch(client, job.id).find_handler()


def test_planted_webhooks_are_dropped(client: Redis) -> None:
    job = planted(client)
    client.hset(keys.job(job.id), "webhooks", json.dumps([{"url": "http://127.0.0.1:1/", "event": "success"}]))
    assert fetch(client, job.id).webhooks == []


@pytest.mark.parametrize("callback", ["success_callback", "failure_callback", "stopped_callback"])
def test_planted_callbacks_are_neither_imported_nor_called(client: Redis, callback: str) -> None:
    job = planted(client)
    client.hset(keys.job(job.id), f"{callback}_name", "antigravity.geohash")
    read = fetch(client, job.id)
    assert getattr(read, callback) is None
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("data", [b"{}", b"[]", b'["os.system"]', b"[1, 2, 3, 4]", b"null", b'["a", null, [], []]'])
def test_data_of_any_shape_are_refused(client: Redis, data: bytes) -> None:
    job = planted(client)
    client.hset(keys.job(job.id), "data", data)
    with pytest.raises(UnregisteredJob):
        fetch(client, job.id).find_handler()


def fetch(client: Redis, job_id: str) -> ChatqJob:
    """Return the job as chatq reads it."""
    return cast("ChatqJob", ChatqJob.fetch(job_id, connection=client))


def planted(client: Redis) -> ChatqJob:
    """Enqueue a job whose function nobody has registered."""
    return cast("ChatqJob", handler_queue(client).enqueue("chatq.jobs.nobodys"))
