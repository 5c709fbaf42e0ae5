"""How long the random faults last, and the systems that are broken."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.databases import PostgresServer, SharedPostgres, SqliteFile
from tests.faults.system import System
from tests.parts.valkey import Valkey

SECONDS = 20.0
"""How long random faults last by default; starting, coming to rest and comparing takes some seconds more."""
REST_SECONDS = 280
SEED = "CHATQ_FAULT_SEED"
"""Environment variable that repeats the faults of an earlier run, as far as the machine lets it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fault-seconds", type=float, default=SECONDS, help="how long the random faults of tests/faults last"
    )


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """How long random faults last."""
    return fault_seconds(request.config)


def fault_seconds(config: pytest.Config) -> float:
    """Return how long random faults last."""
    # pytest knows the option only if it was told to look into this folder.
    return float(config.getoption("--fault-seconds", SECONDS))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/faults/") and "seconds" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(fault_seconds(config) + REST_SECONDS))


@pytest.fixture
def seed() -> int:
    """What all chance in a test begins with."""
    return int(os.environ.get(SEED) or random.randrange(1 << 32))


@pytest.fixture
def sqlite_system(tmp_path: Path, valkey: Valkey) -> Iterator[System]:
    """A system of the test's own on SQLite, without workers and APIs yet.

    What its processes log, and the database, stay where a failed test can show it.
    """
    system = System(tmp_path, valkey, SqliteFile(tmp_path))
    yield system
    system.close()


@pytest.fixture
def postgres_system(tmp_path: Path, valkey: Valkey, postgres_url: str) -> Iterator[System]:
    """A system of the test's own on the Postgres that all tests share."""
    system = System(tmp_path, valkey, SharedPostgres(postgres_url))
    yield system
    system.close()


@pytest.fixture
def killable_postgres_system(tmp_path: Path, valkey: Valkey) -> Iterator[System]:
    """A system of the test's own on a Postgres of its own, which it may kill."""
    directory = Path(tempfile.mkdtemp(prefix="chatq-"))
    database = PostgresServer(directory)
    system = System(tmp_path, valkey, database)
    yield system
    system.close()
    database.close()
    shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgres"])
def system(request: pytest.FixtureRequest) -> System:
    """A system of the test's own, once on SQLite and once on Postgres, without workers and APIs yet."""
    system: System = request.getfixturevalue(f"{request.param}_system")
    return system


@pytest.fixture(params=["sqlite", "killable_postgres"])
def killable_system(request: pytest.FixtureRequest) -> System:
    """The same, where everything that is a process may be killed."""
    system: System = request.getfixturevalue(f"{request.param}_system")
    return system
