"""Jobs under suspicion: what is laid at a job's door when the database fails it, and what is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from chatq.errors import DatabaseUnavailable
from chatq.store.batch import LOST_CONNECTIONS, apply_batch, apply_suspect
from chatq.store.fence import take_over
from tests.parts.engines import set_up
from tests.unit.test_ledger import contents, send


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Engine]:
    with set_up(sqlite_url) as engine:
        yield engine


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    with set_up(postgres_url) as engine:
        yield engine


@contextmanager
def full(engine: Engine) -> Iterator[None]:
    """Let a SQLite file not grow any more meanwhile, as on a full disk."""

    def bound(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    engine.dispose()
    event.listen(engine, "connect", bound)
    yield
    event.remove(engine, "connect", bound)
    engine.dispose()


@contextmanager
def cut(engine: Engine, times: int) -> Iterator[None]:
    """Cut the connections of the next transactions that write."""
    left = times

    def begun(connection: Connection) -> None:
        nonlocal left
        if left and connection.get_execution_options().get("chatq_write"):
            left -= 1
            driver: Any = connection.connection.driver_connection
            with socket.socket(fileno=os.dup(driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    event.listen(engine, "begin", begun)
    yield
    event.remove(engine, "begin", begun)


def test_a_full_disk_is_no_job_s_fault(sqlite: Engine) -> None:
    epoch = take_over(sqlite, 0)
    message = send("long" * 10_000)
    # Given a disk that is full, then nothing is held against a job that would need more of it
    with full(sqlite), pytest.raises(DatabaseUnavailable, match="full"):
        apply_suspect(sqlite, 0, epoch, [message])
    # And once there is room, it is done
    (outcome,) = apply_suspect(sqlite, 0, epoch, [message])
    assert outcome.published


def test_a_table_that_an_operator_has_locked_is_no_job_s_fault_but_a_row_may_be(postgres_engine: Engine) -> None:
    engine = postgres_engine
    epoch = take_over(engine, 0)
    apply_batch(engine, 0, epoch, [send("before")])
    message = send("after")
    with engine.connect() as operator:
        # Given a session that has locked a table, then nothing is held against the job
        operator.execute(text("SET idle_in_transaction_session_timeout = 0"))
        operator.commit()
        operator.execute(text("LOCK TABLE messages IN SHARE MODE"))
        with pytest.raises(DatabaseUnavailable, match="lock"):
            apply_suspect(engine, 0, epoch, [message])
        operator.rollback()
        # Given one that has locked the conversation alone, then others are not to wait for it
        operator.execute(text("SELECT * FROM conversations FOR UPDATE"))
        (outcome,) = apply_suspect(engine, 0, epoch, [message])
        assert isinstance(outcome.error, DatabaseUnavailable)
        operator.rollback()
    assert contents(engine) == ["before"]


@pytest.mark.parametrize("times", [LOST_CONNECTIONS - 1, LOST_CONNECTIONS])
def test_only_who_loses_every_connection_is_suspected_of_it(postgres_engine: Engine, times: int) -> None:
    engine = postgres_engine
    epoch = take_over(engine, 0)
    # When connections are cut while a job is done
    with cut(engine, times):
        (outcome,) = apply_suspect(engine, 0, epoch, [send("hello")])
    # Then it is done all the same, unless that goes on
    assert bool(outcome.published) == (times < LOST_CONNECTIONS)
    assert contents(engine) == ["hello"][: len(outcome.published)]
