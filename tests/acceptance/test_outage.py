"""A worker whose database is away: it waits, and whoever looks at RQ's workers sees that it lives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rq import Worker

from tests.parts.command import Chatq
from tests.parts.installation import Installation
from tests.parts.postgres import Postgres
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The name of an empty database."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


def test_a_worker_that_waits_for_its_database_is_listed_as_alive(
    chatq: Chatq, valkey: Valkey, postgres: Postgres, database: str
) -> None:
    # Given a worker, and a database that lets nobody in any more
    installation = Installation(chatq, valkey.url, postgres.url(database))
    running = installation.start_worker()
    until(lambda: Worker.all(connection=installation.redis), what="a worker that is listed")
    installation.engine.dispose()
    postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    # When there is something to do
    installation.send("hello")
    running.wait_for("outage")
    # Then the worker goes on saying that it lives
    for _ in range(2):
        wait_for_heartbeat(installation)
    # And does it when the database is back
    postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    running.wait_for("back after an outage")
    until(lambda: installation.contents() == ["hello"], what="the message")
    assert running.terminate() == 0
    installation.engine.dispose()


def wait_for_heartbeat(installation: Installation) -> None:
    """Wait until RQ has a newer sign of life of the only worker than it has now."""
    before = last_heartbeat(installation)
    until(lambda: last_heartbeat(installation) != before, what="a sign of life")


def last_heartbeat(installation: Installation) -> object:
    (worker,) = Worker.all(connection=installation.redis)
    return worker.last_heartbeat
