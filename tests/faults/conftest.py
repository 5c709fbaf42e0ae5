"""How long the random faults last, and the systems that are broken."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.databases import Database, PostgresServer, SqliteFile
from tests.faults.system import System
from tests.parts.valkey import Valkey

SECONDS = 40.0
"""How long random faults last by default; starting, coming to rest and comparing takes some seconds more."""
REST_SECONDS = 150
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


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of the test's own, with whatever serves it."""
    directory = Path(tempfile.mkdtemp(prefix="chatq-"))
    database: Database = SqliteFile(directory) if request.param == "sqlite" else PostgresServer(directory)
    yield database
    database.close()
    shutil.rmtree(directory)


@pytest.fixture
def system(tmp_path: Path, valkey: Valkey, database: Database) -> Iterator[System]:
    """A system of the test's own, without workers and APIs yet; what they log stays where a failed test can show it."""
    system = System(tmp_path, valkey, database)
    yield system
    system.close()
