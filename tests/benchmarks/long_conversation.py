"""A conversation with a million events: a page and a ``join`` near its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from string import Template
from urllib.parse import urlsplit

from sqlalchemy import Engine
from websockets.sync.client import ClientConnection, connect

from tests.benchmarks.chatq_side import installation
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage

LONG = 1_000_000
SHORT = 1_000
SAMPLES = 50
PAGE = 50
BEHIND = 100
"""How many events a client that joins has missed."""

_SQL = Template(Path(__file__).with_suffix(".sql").read_text())
_NOW = "2026-01-01T00:00:00.000Z"


class Reader:
    """A client of one conversation."""

    def __init__(self, url: str, conversation: str, events: int) -> None:
        self._conversation = conversation
        self._events = events
        self._http = HTTPConnection(urlsplit(url).netloc)
        self._socket: ClientConnection = connect(f"ws://{urlsplit(url).netloc}/ws", compression=None)
        self._receive("hello")
        self._say(type="auth", userId="bob")
        self._receive("authenticated")

    def measure(self) -> Figures:
        """Return the medians, in milliseconds, of reading a page and of joining."""
        pages, joins = [], []
        for _ in range(SAMPLES):
            pages.append(_milliseconds(self._page))
            joins.append(_milliseconds(self._join))
            self._say(type="leave", conversationId=self._conversation)
            self._receive("left")
        return {"page": median(pages), "join": median(joins)}

    def _page(self) -> None:
        path = f"/api/conversations/{self._conversation}/messages?limit={PAGE}&before={self._events - BEHIND}"
        self._http.request("GET", path)
        answer = self._http.getresponse()
        found = json.loads(answer.read())["messages"]
        if len(found) != PAGE or found[-1]["seq"] != self._events - BEHIND - 1:
            raise RuntimeError(f"not the page that was asked for: {found}")

    def _join(self) -> None:
        self._say(type="join", conversationId=self._conversation, since=self._events - BEHIND)
        self._receive("joined")
        for seq in range(self._events - BEHIND + 1, self._events + 1):
            if self._receive("newMessage")["seq"] != seq:
                raise RuntimeError(f"not event {seq}")

    def _say(self, **frame: object) -> None:
        self._socket.send(json.dumps(frame))

    def _receive(self, kind: str) -> dict[str, object]:
        frame: dict[str, object] = json.loads(self._socket.recv(timeout=30))
        if frame["type"] != kind:
            raise RuntimeError(f"{frame} came where {kind} was expected")
        return frame


def _milliseconds(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def _fill(engine: Engine, conversations: dict[str, int]) -> None:
    """Give each conversation its number of events."""
    with engine.connect() as connection:
        postgres = connection.dialect.name == "postgresql"
        if postgres:
            connection.exec_driver_sql("SET statement_timeout = 0")
        for number, (name, events) in enumerate(conversations.items()):
            sql = _SQL.substitute(conversation=name, events=events, prefix=f"{number:08}", now=_NOW)
            for statement in sql.split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
        connection.commit()
        if postgres:
            # What autovacuum does within a minute.
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


@contextmanager
def _reading(stage: Stage, database: AbstractContextManager[str]) -> Iterator[Sequence[Run]]:
    long = max(SHORT, stage.sized(LONG))
    with stage.valkey() as redis_url, database as database_url, installation(stage, redis_url, database_url) as chatq:
        _fill(chatq.services.engine, {"long": long, "short": SHORT})
        with chatq.api() as url:
            yield [Reader(url, "long", long).measure, Reader(url, "short", SHORT).measure]


def on_postgres(stage: Stage) -> AbstractContextManager[Sequence[Run]]:
    """Give runs on a long and on a short conversation of one Postgres database."""
    return _reading(stage, stage.postgres_database())


def on_sqlite(stage: Stage) -> AbstractContextManager[Sequence[Run]]:
    """Give runs on a long and on a short conversation of one SQLite file."""
    return _reading(stage, stage.sqlite_database())


_MEASURES = (Measure("page", "ms", at_most=1.05), Measure("join", "ms", at_most=1.05))
_SIDES = ("of 1,000,000 events", "of 1,000 events")
BENCHMARKS = (
    Benchmark("long", "near the end of a conversation on Postgres", _SIDES, _MEASURES, on_postgres, pairs=15),
    Benchmark("long-sqlite", "near the end of a conversation on SQLite", _SIDES, _MEASURES, on_sqlite, pairs=15),
)
