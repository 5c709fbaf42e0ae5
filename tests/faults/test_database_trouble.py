"""The database dies, or its answers get lost, at the worst moments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.databases import SharedPostgres
from tests.faults.feeder import feeders
from tests.faults.points import Deed, Point
from tests.faults.reconcile import check_database, keep_leases, wait_until_quiet
from tests.faults.system import System
from tests.parts.postgres import USER, Postgres
from tests.parts.proxy import Proxy
from tests.parts.valkey import Valkey


@pytest.fixture
def proxy(short_path: Path, postgres: Postgres) -> Iterator[Proxy]:
    """What lies between the workers and Postgres."""
    name = f".s.PGSQL.{postgres.port}"
    proxy = Proxy(short_path / name, postgres.directory / name)
    yield proxy
    proxy.close()


@pytest.fixture
def distant_system(
    tmp_path: Path, valkey: Valkey, postgres: Postgres, short_path: Path, proxy: Proxy
) -> Iterator[System]:
    """A system that reaches its database through the proxy."""
    name = postgres.create_database()
    url = f"postgresql://{USER}@/{name}?host={short_path}&port={postgres.port}"
    system = System(tmp_path, valkey, SharedPostgres(url))
    yield system
    system.close()
    postgres.drop_database(name)


def test_the_database_restarts_under_two_workers(killable_postgres_system: System) -> None:
    system = killable_postgres_system
    # Given workers in the middle of a transaction, before one, and after one
    points = [Point.APPLIED, Point.CLAIMED, Point.COMMITTED]
    workers = [system.start_worker() for _ in points]
    for point, worker in zip(points, workers, strict=True):
        worker.wait_until_ready()
        worker.order(point, Deed.FREEZE)
    rooms = feeders(system, len(points))
    with system.asleep():
        for room in rooms:
            room.talk()
    for point, worker in zip(points, workers, strict=True):
        worker.wait_at(point)
    keep_leases(system, len(points))
    for room in rooms:
        room.talk()
    # When the database dies, and comes back after they have noticed
    system.database.kill()
    for worker in workers:
        worker.wake()
        worker.wait_to_log("outage")
    system.database.start()
    # Then they go on, without waiting for any lease to end, and nobody's attempt was spent
    wait_until_quiet(system)
    for room in rooms:
        room.talk()
    wait_until_quiet(system)
    check_database(system.engine, [room.transcript for room in rooms])


def test_the_answer_to_a_commit_is_lost(distant_system: System, proxy: Proxy) -> None:
    system = distant_system
    # Given a worker with a batch to be committed, of a lane that it has worked on before
    worker = system.start_ready_worker()
    (room,) = feeders(system, 1)
    room.talk()
    wait_until_quiet(system)
    worker.order(Point.APPLIED, Deed.FREEZE)
    with system.asleep():
        room.talk()
    worker.wait_at(Point.APPLIED)
    # When it is committed, and nobody says so
    proxy.lose_answer_to(b"COMMIT")
    worker.wake()
    worker.wait_to_log("outage")
    # Then it is done once
    wait_until_quiet(system)
    assert proxy.lost == 1
    check_database(system.engine, [room.transcript])
