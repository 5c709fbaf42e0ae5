"""A worker's memory after ten times as many messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from tests.benchmarks.chatq_side import installation, is_alive
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage
from tests.parts.processes import resident

FIRST = 50_000
LAST = 500_000
CONVERSATIONS = 2_000


def grow(stage: Stage, redis_url: str, database: Callable[[], AbstractContextManager[str]]) -> Figures:
    """Have one worker do :data:`FIRST` messages, then more until :data:`LAST`; return its memory after each, in MB."""
    first, last = stage.sized(FIRST), stage.sized(LAST)
    with (
        database() as database_url,
        installation(stage, redis_url, database_url) as chatq,
        chatq.worker("--only", "messages") as running,
    ):
        sizes = []
        for messages in (first, last - first):
            chatq.fill(messages, CONVERSATIONS)
            chatq.backlog().wait_until_empty(lambda: is_alive(running))
            sizes.append(resident(running.pid))
        chatq.check_stored(last)
    return {"growth": sizes[1] - sizes[0], "after the first": sizes[0], "after the last": sizes[1]}


@contextmanager
def on_postgres(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give the run on Postgres."""
    with stage.valkey() as url:
        yield [partial(grow, stage, url, stage.postgres_database)]


@contextmanager
def on_sqlite(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give the run on SQLite."""
    with stage.valkey() as url:
        yield [partial(grow, stage, url, stage.sqlite_database)]


_TITLE = "growth of a worker's memory from 50,000 to 500,000 messages, on "
_MEASURES = (Measure("growth", "MB", at_most=10),)
BENCHMARKS = (
    Benchmark("memory", f"{_TITLE}Postgres", ("chatq",), _MEASURES, on_postgres, pairs=1),
    Benchmark("memory-sqlite", f"{_TITLE}SQLite", ("chatq",), _MEASURES, on_sqlite, pairs=1),
)
