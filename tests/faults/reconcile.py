"""After the chaos: what was accepted is compared with the database, with what watchers saw, and with the queue."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import redis
from rq import Queue
from rq.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from sqlalchemy import Engine, Table, select

from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.queue.jobs import ChatqJob, JsonSerializer
from chatq.store.engine import reading
from chatq.store.tables import conversations, events, failures, members, messages
from tests.faults.system import System
from tests.faults.transcript import Said, Transcript
from tests.faults.watcher import Watcher
from tests.parts.waiting import PATIENCE_SECONDS, until

REGISTRIES = (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
Row = dict[str, Any]


def left_in_queue(client: redis.Redis, lanes: int) -> dict[str, Any]:
    """Return what there is in Redis that tells of work not done: nothing, when all is quiet."""
    names = [keys.MESSAGES, *(keys.lane_name(lane) for lane in range(lanes))]
    left: dict[str, Any] = {}
    for name in names:
        queue = Queue(name, connection=client, job_class=ChatqJob, serializer=JsonSerializer)
        left[name] = queue.count
        for kind in REGISTRIES:
            left[f"{kind.__name__} of {name}"] = kind(queue=queue).get_job_count(cleanup=False)
    for lane in range(lanes):
        left[f"claims of {lane}"] = client.llen(keys.claims(lane))
        left[f"lease of {lane}"] = client.exists(keys.lease(lane))
    left["jobs behind others"] = client.scard(keys.BEHIND)
    left["job hashes"] = sum(1 for _ in client.scan_iter(f"{keys.JOB}*", count=1000))
    return {what: found for what, found in left.items() if found}


def wait_until_quiet(system: System, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until nothing is left to be done."""
    client = connect(system.valkey.url)
    left: dict[str, Any] = {}

    def quiet() -> bool:
        left.clear()
        left.update(left_in_queue(client, system.lanes))
        return not left

    try:
        until(quiet, seconds, "all work done")
    except AssertionError:
        raise AssertionError(f"not done within {seconds} s: {left}") from None
    finally:
        client.close()


def keep_leases(system: System, lanes: int) -> None:
    """Let the leases of the first lanes end only when their holders say so, however long these sleep."""
    with closing(connect(system.valkey.url)) as client:
        for lane in range(lanes):
            client.persist(keys.lease(lane))


def settle(engine: Engine, transcripts: Sequence[Transcript]) -> None:
    """Let transcripts know which events there are, once all work is done."""
    logs: dict[str, list[Any]] = defaultdict(list)
    for row in sorted(_rows(engine, events), key=lambda row: int(row["seq"])):
        logs[row["conversation_id"]].append(json.loads(row["payload"]))
    for transcript in transcripts:
        transcript.settle(logs[transcript.conversation])


def check_database(engine: Engine, transcripts: Sequence[Transcript]) -> None:
    """Compare the database with what it must hold, row by row."""
    settle(engine, transcripts)
    rows = {table.name: _rows(engine, table) for table in (conversations, events, messages, members, failures)}
    assert rows["failures"] == [], "jobs failed"
    assert {row["id"] for row in rows["conversations"]} == {t.conversation for t in transcripts}
    by_conversation: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for name in ("events", "messages", "members"):
        for row in rows[name]:
            by_conversation[row["conversation_id"]][name].append(row)
    for row in rows["conversations"]:
        by_conversation[row["id"]]["conversations"].append(row)
    job_ids = [row["job_id"] for row in rows["events"]]
    assert len(job_ids) == len(set(job_ids)), "a job made two events"
    for transcript in transcripts:
        _check_conversation(transcript, by_conversation[transcript.conversation])


def check_watchers(watchers: Sequence[Watcher], transcripts: Sequence[Transcript]) -> None:
    """Compare what the watchers saw with what they must have seen, event by event."""
    expected = {transcript.conversation: transcript for transcript in transcripts}
    for watcher in watchers:
        for conversation, frames in watcher.seen.items():
            _check_events(expected[conversation], frames, f"seen in {conversation}")


def _check_conversation(transcript: Transcript, found: dict[str, list[Row]]) -> None:
    name = transcript.conversation
    log = sorted(found["events"], key=lambda row: int(row["seq"]))
    assert [row["seq"] for row in log] == list(range(1, len(log) + 1)), f"the events of {name} are not dense"
    _check_events(transcript, [json.loads(row["payload"]) for row in log], f"stored in {name}", stored=True)
    for row, event in zip(log, transcript.events, strict=True):
        assert (row["type"], row["message_id"]) == (event.type, event.message_id), row
        assert transcript.makers(event) & {None, row["job_id"]}, f"another job made {row} than {event}"
    last = transcript.last()
    (conversation,) = found["conversations"]
    assert conversation["last_seq"] == len(transcript.events)
    assert conversation["last_message_id"] == (last.id if last else None)
    assert conversation["last_message"] == (last.contents[-1] if last else None)
    stored = {row["id"]: row for row in found["messages"]}
    assert stored.keys() == transcript.messages.keys(), f"other messages in {name}"
    for id_, message in transcript.messages.items():
        _check_message(stored[id_], message, transcript.status(message))
    marks = {row["user_id"]: (row["delivered_seq"], row["read_seq"]) for row in found["members"]}
    assert marks == {user: (m.delivered, m.read) for user, m in transcript.members.items()}, f"marks in {name}"


def _check_message(row: Row, message: Said, status: str) -> None:
    assert (row["seq"], row["sender_id"], row["client_message_id"], row["content"], row["status"]) == (
        message.seq,
        message.sender,
        message.client_id,
        message.contents[-1],
        status,
    ), row
    assert (row["deleted_at"] is not None) == message.deleted, row
    assert (row["edited_at"] is not None) == (len([c for c in message.contents if c is not None]) > 1), row


def _check_events(transcript: Transcript, frames: list[Row], where: str, *, stored: bool = False) -> None:
    for seq, (frame, event) in enumerate(zip(frames, transcript.events, strict=False), 1):
        message_id = frame["message"]["id"] if "message" in frame else frame["messageId"]
        found = (frame["seq"], frame["type"], message_id, frame.get("status"), frame.get("userId"))
        assert found == (seq, event.type, event.message_id, event.status, event.user), f"{where}: {frame}, not {event}"
        if "message" in frame:
            contents = transcript.messages[event.message_id].contents
            # Earlier events carry the content of now; who saw one earlier saw what the message said then, or since.
            allowed = contents[-1:] if stored else contents[contents.index(event.content) :]
            assert frame["message"]["content"] in allowed, f"{where}: {frame}"
    assert len(frames) == len(transcript.events), f"{len(frames)} events {where}, not {len(transcript.events)}"


def _rows(engine: Engine, table: Table) -> list[Row]:
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]
