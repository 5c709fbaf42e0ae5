"""Where benchmarks run: real servers of their own, the same for all sides, and a directory for their data."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import redis

from tests.benchmarks.node import Programs
from tests.parts.engines import set_up
from tests.parts.ports import free_port
from tests.parts.postgres import Postgres
from tests.parts.valkey import Valkey


class DurablePostgres(Postgres):
    """A Postgres as it comes: what is committed is on disk."""

    def _popen(self, command: list[str]) -> subprocess.Popen[str]:
        # Of two settings of one name Postgres takes the later.
        return super()._popen([*command, "-c", "fsync=on", "-c", "autovacuum=on"])


class Stage:
    """Gives benchmarks their servers and databases; :meth:`close` ends and removes everything.

    ``scale`` multiplies how much each run does: far below 1 it shows that a benchmark works, and nothing else.
    """

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._directory = Path(tempfile.mkdtemp(prefix="chatq-bench-"))
        # For root, Postgres runs as another user.
        self._directory.chmod(0o755)
        self._numbers = count()

    def sized(self, messages: int) -> int:
        """Return how many messages a run takes that has ``messages`` at full scale; whole hundreds."""
        return max(100, round(messages * self.scale / 100) * 100)

    def directory(self, name: str) -> Path:
        """Return a new, empty directory."""
        path = self._directory / f"{name}{next(self._numbers)}"
        path.mkdir()
        return path

    @contextmanager
    def valkey(self, *, durable: bool = False) -> Iterator[str]:
        """Run a server and yield its URL, on TCP, where all sides reach it the same way.

        ``durable`` has it fsync each write before the answer; else it keeps everything in memory, which is
        what a Redis without settings does between two snapshots.
        """
        port = free_port()
        persistence = {} if durable else {"appendonly": "no"}
        server = Valkey(self.directory("v"), port=str(port), bind="127.0.0.1", **persistence).start()
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()

    @cached_property
    def postgres(self) -> DurablePostgres:
        """The server that all benchmarks share; with fsync."""
        return DurablePostgres(self.directory("p"))

    @cached_property
    def programs(self) -> Programs:
        """The Node programs, installed."""
        return Programs(self.directory("n"))

    @contextmanager
    def postgres_database(self) -> Iterator[str]:
        """Yield the URL of an empty Postgres database, with nothing left to be written of those before."""
        name = self.postgres.create_database()
        self.postgres.execute("CHECKPOINT")
        yield self.postgres.url(name)
        self.postgres.drop_database(name)

    @contextmanager
    def sqlite_database(self) -> Iterator[str]:
        """Yield the URL of a SQLite file that does not exist yet."""
        directory = self.directory("s")
        yield f"sqlite:///{directory}/chatq.sqlite3"
        shutil.rmtree(directory)

    def close(self) -> None:
        """End the servers and remove all data."""
        if "postgres" in self.__dict__:
            self.postgres.stop()
        shutil.rmtree(self._directory)


def empty(redis_url: str) -> None:
    """Remove everything from a Redis."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


def set_up_tables(database_url: str) -> None:
    """Give an empty database chatq's tables."""
    with set_up(database_url):
        pass
