"""Postgres ends the session of a worker that hangs in its transaction, in whichever way it wrote last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from chatq.queue.lanes import LEASE_MS
from chatq.store.bulk import copy_rows, fetch, write_all
from chatq.store.engine import STATEMENT_TIMEOUT_MS
from chatq.store.tables import lanes
from tests.parts.engines import set_up
from tests.parts.waiting import until

_LANES = select(lanes)
_IDLE = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND pid = ANY(:pids)")


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    with set_up(postgres_url) as engine:
        yield engine


def rows(first: int) -> list[dict[str, Any]]:
    return [{"lane": first + number, "epoch": 1} for number in range(10)]


def write_plainly(connection: Connection) -> None:
    connection.execute(lanes.insert(), rows(0)[0])


def write_together(connection: Connection) -> None:
    write_all(connection, [("INSERT INTO lanes (lane, epoch) VALUES (:lane, :epoch)", rows(100))])


def only_read(connection: Connection) -> None:
    fetch(connection, _LANES, {})


def copy(connection: Connection) -> None:
    assert copy_rows(connection, lanes, rows(200))


def test_a_session_that_says_no_more_in_its_transaction_is_ended(engine: Engine) -> None:
    with ExitStack() as stack:
        # Given transactions that have written in different ways
        pids = []
        for write in (write_plainly, write_together, only_read, copy):
            connection = stack.enter_context(engine.connect())
            stack.callback(connection.invalidate)
            pids.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            write(connection)
        watcher = stack.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
        # When they hang, then their sessions are ended, by the server's own clock before a lane's lease is over
        allowed = watcher.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
        assert allowed == f"{STATEMENT_TIMEOUT_MS}ms"
        assert STATEMENT_TIMEOUT_MS < LEASE_MS
        until(lambda: watcher.execute(_IDLE, {"pids": pids}).scalar_one() == 0, what="the end of hung sessions")
