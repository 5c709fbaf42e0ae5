"""The guide's stack: its processes and its queue; and the load client, which serves both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis

from tests.benchmarks.backlog import Backlog
from tests.benchmarks.stage import Stage, empty
from tests.parts.command import Running
from tests.parts.ports import free_port

CONCURRENCY = 50
PREFIX = "bull:messages"


class GuideSide:
    """An emptied Redis, a new Postgres database, and the processes that are started."""

    def __init__(self, stage: Stage, redis_url: str, database_url: str = "") -> None:
        self._programs = stage.programs
        self._database_url = database_url
        self._environment = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
        empty(redis_url)

    @contextmanager
    def worker(self) -> Iterator[Running]:
        """Run the worker."""
        with self._running("worker.js", CONCURRENCY=str(CONCURRENCY)) as running:
            yield running

    @contextmanager
    def api(self) -> Iterator[str]:
        """Run the web process and yield its URL."""
        port = free_port()
        with self._running("api.js", PORT=str(port)) as running:
            running.wait_for("ready")
            yield f"http://127.0.0.1:{port}"

    def fill(self, *arguments: str | int) -> dict[str, float]:
        """Run ``fill.js`` and return what it measured."""
        return self._programs.run("fill.js", *arguments, environment=self._environment)

    def backlog(self, client: redis.Redis) -> Backlog:
        """Return the jobs that are not ended."""
        return Backlog(client, [f"{PREFIX}:wait", f"{PREFIX}:active"])

    def check_stored(self, messages: int) -> None:
        """Check that exactly so many messages are in the database."""
        with psycopg.connect(self._database_url) as connection:
            row = connection.execute("SELECT count(*) FROM guide_messages").fetchone()
        if row is None or row[0] != messages:
            raise RuntimeError(f"{row} rows in guide_messages, not {messages}")

    @contextmanager
    def _running(self, script: str, **environment: str) -> Iterator[Running]:
        running = self._programs.start(script, self._environment | environment)
        try:
            yield running
        finally:
            running.close()


def run_load(stage: Stage, url: str, **options: str | int) -> dict[str, float]:
    """Run ``load.js`` against an API of either side and return what it measured."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return stage.programs.run("load.js", url, *arguments)
