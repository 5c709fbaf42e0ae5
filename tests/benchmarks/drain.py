"""Drain: queued ``sendMessage`` jobs of 20 conversations, persisted and published by one worker process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import psycopg
import redis

from tests.benchmarks.backlog import Backlog
from tests.benchmarks.chatq_side import CONVERSATIONS, installation, is_alive
from tests.benchmarks.guide_side import GuideSide
from tests.benchmarks.limit import POSTGRES_VARIANTS, SQLITE_VARIANTS
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage, empty
from tests.parts.root import ROOT

MESSAGES = 20_000
RQ_MESSAGES = 1_000
BATCH = 500
"""How many jobs chatq claims at once (``chatq.queue.lanes.BATCH``), and the limit too."""

Database = Callable[[], AbstractContextManager[str]]


@contextmanager
def against_guide(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give chatq's run and the guide's."""
    messages = stage.sized(MESSAGES)
    with stage.valkey() as url:
        yield [
            lambda: drain_chatq(stage, url, stage.postgres_database, messages),
            lambda: drain_guide(stage, url, messages),
        ]


@contextmanager
def against_rq(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give chatq's run and stock RQ's, which takes fewer messages: it is their rate that counts."""
    with stage.valkey() as url:
        yield [
            lambda: drain_chatq(stage, url, stage.postgres_database, stage.sized(MESSAGES)),
            lambda: drain_rq(stage, url, stage.sized(RQ_MESSAGES)),
        ]


@contextmanager
def postgres_against_limit(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give chatq's run and the limit's."""
    messages = stage.sized(MESSAGES)
    with stage.valkey() as url:
        yield [
            lambda: drain_chatq(stage, url, stage.postgres_database, messages),
            lambda: drain_limit(stage, url, stage.postgres_database, messages, POSTGRES_VARIANTS),
        ]


@contextmanager
def sqlite_against_limit(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give chatq's run and the limit's; Valkey and SQLite with fsync, as chatq sets its own up."""
    messages = stage.sized(MESSAGES)
    with stage.valkey(durable=True) as url:
        yield [
            lambda: drain_chatq(stage, url, stage.sqlite_database, messages, CHATQ_DURABILITY="aof"),
            lambda: drain_limit(stage, url, stage.sqlite_database, messages, SQLITE_VARIANTS),
        ]


def drain_chatq(stage: Stage, redis_url: str, database: Database, messages: int, **settings: str) -> Figures:
    """Fill the lanes and have one ``chatq worker`` work them off."""
    with database() as database_url, installation(stage, redis_url, database_url, **settings) as chatq:
        chatq.fill(messages)
        with chatq.worker("--only", "messages") as running:
            rate = chatq.backlog().drain_rate(lambda: is_alive(running))
        chatq.check_stored(messages)
    return {"rate": rate}


def drain_guide(stage: Stage, redis_url: str, messages: int) -> Figures:
    """Fill the guide's queue and have its worker work it off."""
    with stage.postgres_database() as database_url, redis.Redis.from_url(redis_url) as client:
        guide = GuideSide(stage, redis_url, database_url)
        guide.fill(messages, CONVERSATIONS)
        with guide.worker() as running:
            rate = guide.backlog(client).drain_rate(lambda: is_alive(running))
        guide.check_stored(messages)
    return {"rate": rate}


def drain_rq(stage: Stage, redis_url: str, messages: int) -> Figures:
    """Fill an RQ queue and have a ``SimpleWorker`` work it off."""
    empty(redis_url)
    program = [sys.executable, "-m", "tests.benchmarks.peers.stock_rq"]
    with stage.postgres_database() as database_url, redis.Redis.from_url(redis_url) as client:
        subprocess.run([*program, "fill", redis_url, str(messages), str(CONVERSATIONS)], cwd=ROOT, check=True)
        work = [*program, "work", redis_url, database_url]
        with subprocess.Popen(work, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
            # Between its queue and the registry of what is under way, a job lies in a list of its own.
            lists = ["rq:queue:messages", "rq:queue:messages:intermediate"]
            backlog = Backlog(client, lists, ["rq:wip:messages"])
            rate = backlog.drain_rate(lambda: worker.poll() is None)
            worker.kill()
        with psycopg.connect(database_url) as connection:
            found = connection.execute("SELECT count(*) FROM rq_messages").fetchone()
        if found != (messages,):
            raise RuntimeError(f"{found} rows in rq_messages, not {messages}")
    return {"rate": rate}


def drain_limit(stage: Stage, redis_url: str, database: Database, messages: int, variants: Sequence[str]) -> Figures:
    """Have each variant of the bare loop work off lanes as chatq fills them; the fastest is the limit."""
    rates: dict[str, float] = {}
    for variant in variants:
        with database() as database_url, installation(stage, redis_url, database_url) as chatq:
            chatq.fill(messages)
            lanes = str(chatq.services.settings.lanes)
            program = [sys.executable, "-m", "tests.benchmarks.limit", redis_url, database_url]
            with subprocess.Popen([*program, variant, str(BATCH), lanes], cwd=ROOT) as loop:
                rates[variant] = chatq.backlog().drain_rate(lambda: loop.poll() is None)
            chatq.check_stored(messages)
    return {"rate": max(rates.values()), **rates}


BENCHMARKS = (
    Benchmark(
        "drain-guide",
        "drain on Postgres, one worker process",
        ("chatq", "guide, concurrency 50"),
        (Measure("rate", "messages/s", at_least=7),),
        against_guide,
    ),
    Benchmark(
        "drain-rq",
        "drain on Postgres, one worker process",
        ("chatq", "stock RQ SimpleWorker"),
        (Measure("rate", "messages/s", at_least=60),),
        against_rq,
    ),
    Benchmark(
        "drain-limit",
        "drain on Postgres, one worker process",
        ("chatq", "the limit"),
        (Measure("rate", "messages/s", at_least=0.5),),
        postgres_against_limit,
    ),
    Benchmark(
        "drain-limit-sqlite",
        "drain on SQLite, one worker process",
        ("chatq", "the limit"),
        (Measure("rate", "messages/s", at_least=0.5),),
        sqlite_against_limit,
    ),
)
