"""``chatq enqueue --file``: real conversations from a file into the queue, and from there into the database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.chatq_side import ChatqSide, installation, is_alive
from tests.benchmarks.conversations import BLANK, LINES, write_conversations
from tests.benchmarks.guide_side import GuideSide
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage

DURABLE = {"CHATQ_DURABILITY": "aof"}


@contextmanager
def until_persisted(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give the run that ends with the last message in SQLite."""
    with _file(stage) as file, stage.valkey(durable=True) as url:
        yield [lambda: persist(stage, url, file)]


@contextmanager
def enqueueing(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs of the two programs that read the file and fill the queue, from their start to their end."""
    with _file(stage) as file, stage.valkey(durable=True) as url:
        yield [lambda: enqueue_chatq(stage, url, file), lambda: enqueue_guide(stage, url, file)]


def persist(stage: Stage, redis_url: str, file: Path) -> Figures:
    """Start ``chatq enqueue`` where a worker waits; return the seconds until all is persisted."""
    with (
        stage.sqlite_database() as database_url,
        installation(stage, redis_url, database_url, **DURABLE) as chatq,
        chatq.worker("--only", "messages") as running,
    ):
        running.wait_for("worker started")
        began = time.monotonic()
        _enqueue(chatq, file)
        enqueued = time.monotonic() - began
        chatq.backlog().wait_until_empty(lambda: is_alive(running))
        seconds = time.monotonic() - began
        chatq.check_stored(LINES - BLANK)
    return {"seconds": seconds, "enqueued after": enqueued}


def enqueue_chatq(stage: Stage, redis_url: str, file: Path) -> Figures:
    """Run ``chatq enqueue``, with nobody to take the jobs."""
    with (
        stage.sqlite_database() as database_url,
        installation(stage, redis_url, database_url, **DURABLE) as chatq,
    ):
        began = time.monotonic()
        _enqueue(chatq, file)
        seconds = time.monotonic() - began
        left = chatq.backlog().count()
    if left != LINES - BLANK:
        raise RuntimeError(f"{left} jobs are queued, not {LINES - BLANK}")
    return {"rate": LINES / seconds}


def enqueue_guide(stage: Stage, redis_url: str, file: Path) -> Figures:
    """Run ``fill.js``, whose ``addBulk`` takes a thousand lines at a time."""
    guide = GuideSide(stage, redis_url)
    began = time.monotonic()
    filled = guide.fill(str(file))
    seconds = time.monotonic() - began
    return {"rate": LINES / seconds, "rate without start": filled["jobs"] / filled["seconds"]}


def _enqueue(chatq: ChatqSide, file: Path) -> None:
    done = chatq.command("enqueue", "sendMessage", "--file", str(file), timeout=600)
    # 1: the blank lines were rejected, and the rest is done.
    if done.returncode != 1 or f"{LINES - BLANK} accepted, {BLANK} rejected" not in done.stdout:
        raise RuntimeError(f"chatq enqueue ended with {done.returncode}: {done.stdout}{done.stderr}")


@contextmanager
def _file(stage: Stage) -> Iterator[Path]:
    path = stage.directory("f") / "conversations.jsonl.gz"
    write_conversations(path)
    yield path
    path.unlink()


BENCHMARKS = (
    Benchmark(
        "enqueue-file",
        "`chatq enqueue --file`, 88,032 lines, until all are persisted on SQLite",
        ("chatq",),
        (Measure("seconds", "s", at_most=25),),
        until_persisted,
    ),
    Benchmark(
        "enqueue",
        "the same file into the queue alone",
        ("chatq enqueue", "BullMQ addBulk"),
        (Measure("rate", "lines/s", at_least=1),),
        enqueueing,
    ),
)
