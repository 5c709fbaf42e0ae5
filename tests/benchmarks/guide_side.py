"""The guide's stack: the Node programs of ``peers/guide``; and the load client, which serves both sides."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests.benchmarks.backlog import Backlog
from tests.benchmarks.stage import empty
from tests.parts.command import Running
from tests.parts.ports import free_port

GUIDE = Path(__file__).parent / "peers" / "guide"
CONCURRENCY = 50
PREFIX = "bull:messages"


class MissingNode(Exception):
    """Node or its packages are not there."""


@functools.cache
def node() -> str:
    """Return Node's path, with the packages of ``peers/guide`` installed.

    Raises:
        MissingNode: there is no Node, or its packages cannot be installed.
    """
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        raise MissingNode("the guide's stack and the load client need Node 20 or later, with npm, on PATH")
    if not (GUIDE / "node_modules").is_dir():
        done = subprocess.run([npm, "ci"], cwd=GUIDE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingNode(f"npm ci failed:\n{done.stderr}")
    return program


class GuideSide:
    """An emptied Redis, a new Postgres database, and the processes that are started."""

    def __init__(self, redis_url: str, database_url: str = "") -> None:
        self._redis_url = redis_url
        self._database_url = database_url
        empty(redis_url)

    @contextmanager
    def worker(self) -> Iterator[Running]:
        """Run the worker."""
        with self._program("worker.js", CONCURRENCY=str(CONCURRENCY)) as running:
            yield running

    @contextmanager
    def api(self) -> Iterator[str]:
        """Run the web process and yield its URL."""
        port = free_port()
        with self._program("api.js", PORT=str(port)) as running:
            running.wait_for("ready")
            yield f"http://127.0.0.1:{port}"

    def fill(self, *arguments: str | int) -> dict[str, float]:
        """Run ``fill.js`` and return what it measured."""
        return run_node("fill.js", *arguments, environment=self._environment())

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
    def _program(self, script: str, **environment: str) -> Iterator[Running]:
        process = subprocess.Popen(
            [node(), script],
            cwd=GUIDE,
            env=self._environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        running = Running(process)
        try:
            yield running
        finally:
            running.close()

    def _environment(self) -> dict[str, str]:
        return _environment() | {"REDIS_URL": self._redis_url, "DATABASE_URL": self._database_url}


def run_load(url: str, **options: str | int) -> dict[str, float]:
    """Run ``load.js`` against an API of either side and return what it measured."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return run_node("load.js", url, *arguments, environment=_environment())


def run_node(script: str, *arguments: str | int, environment: dict[str, str]) -> dict[str, float]:
    """Run a program of ``peers/guide`` to its end and return the JSON that it printed."""
    done = subprocess.run(
        [node(), script, *map(str, arguments)], cwd=GUIDE, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "NODE_ENV": "production"}
