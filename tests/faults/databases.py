"""The databases of the fault tests, each with a life of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tests.parts.postgres import Postgres


class Database(Protocol):
    """A database, empty at first."""

    @property
    def url(self) -> str:
        """Its ``DATABASE_URL``."""

    @property
    def is_server(self) -> bool:
        """Whether there is a server to be killed; a file has none."""

    def kill(self) -> None:
        """End its server as a crash would."""

    def start(self) -> object:
        """Start its server on the same data."""

    def close(self) -> None:
        """End its server."""


class SqliteFile:
    """SQLite: a file in ``directory``."""

    is_server = False

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory}/chatq.sqlite3"

    def kill(self) -> None:
        """Do nothing: there is no server."""

    def start(self) -> None:
        """Do nothing: there is no server."""

    def close(self) -> None:
        """Do nothing: there is no server."""


class SharedPostgres:
    """A database of a Postgres server that other tests use as well, and that nobody may kill therefore."""

    is_server = True

    def __init__(self, url: str) -> None:
        self.url = url

    def kill(self) -> None:
        """Refuse."""
        raise AssertionError("other tests use this server")

    def start(self) -> None:
        """Refuse."""
        raise AssertionError("this server runs")

    def close(self) -> None:
        """Do nothing: the server is needed still."""


class PostgresServer:
    """A Postgres server with its data in ``directory``, whose path must be short."""

    is_server = True

    def __init__(self, directory: Path) -> None:
        self._server = Postgres(directory)
        self.url = self._server.url(self._server.create_database())

    @property
    def directory(self) -> Path:
        """Where its socket lies."""
        return self._server.directory

    @property
    def port(self) -> int:
        """Its port."""
        return self._server.port

    def kill(self) -> None:
        """Kill the server, all of whose other processes follow by themselves."""
        self._server.kill()

    def start(self) -> None:
        """Start the server on the same data."""
        self._server.start()

    def close(self) -> None:
        """End the server."""
        self._server.stop()
