"""Fixtures: real servers, a directory and an environment of its own for each test, and the real command.

``CI`` in the environment turns every skip into a failure: what a test needs has to be there.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from chatq.queue import lanes
from tests.parts.command import Chatq, environment_in
from tests.parts.engines import set_up
from tests.parts.installation import Installation
from tests.parts.postgres import Postgres
from tests.parts.proxy import Proxy
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No deadline for one example, and no complaint that depends on the machine or on chance; no files left behind. What
# examples share is meant.
settings.register_profile(
    "chatq",
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.load_profile("chatq")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has what it starts in the background ignore Ctrl-C, and all that these start in turn.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="take the documents' pictures anew, into docs/pictures")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped although CI is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Defined here, for all: a process can lead only one, whatever tests meet in it."""
    from tests.parts.chromium import chromium  # noqa: PLC0415  # takes 0.3 s, and most processes open no page

    with chromium() as browser:
        yield browser


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a path short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="chatq-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def valkey(short_path: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own: on a unix socket, every write fsynced, nothing evicted."""
    server = Valkey(short_path).start()
    yield server
    server.kill()


@pytest.fixture
def long_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of lanes that end only where a test ends them, however long the machine takes for what is between."""
    monkeypatch.setattr(lanes, "LEASE_MS", 600_000)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The Postgres server that the tests share, each with databases of its own."""
    path = Path(tempfile.mkdtemp(prefix="chatq-"))
    server = Postgres(path)
    yield server
    server.stop()
    shutil.rmtree(path)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The ``DATABASE_URL`` of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/chatq.sqlite3"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The ``DATABASE_URL`` of an empty Postgres database."""
    name = postgres.borrow_database()
    yield postgres.url(name)
    postgres.return_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The ``DATABASE_URL`` of an empty database: the test runs once on SQLite and once on Postgres."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sqlite_roles(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> Iterator[Roles]:
    """An API and a worker of the test's own on SQLite, of which nothing runs yet."""
    roles = Roles(chatq, valkey.url, sqlite_url)
    yield roles
    roles.close()


@pytest.fixture
def proxy(short_path: Path, valkey: Valkey) -> Iterator[Proxy]:
    """What lies between somebody and the test's Valkey."""
    proxy = Proxy(short_path / "proxy.sock", valkey.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine for a database with chatq's tables, on SQLite and on Postgres."""
    with set_up(database_url) as engine:
        yield engine


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of the test's commands: a data directory of its own, and no setting else."""
    return environment_in(tmp_path)


@pytest.fixture
def chatq(tmp_path: Path, environment: dict[str, str]) -> Iterator[Chatq]:
    """The command: ``chatq("db", "upgrade", env={…})`` or ``chatq.start("api", env={…})``."""
    command = Chatq(tmp_path, environment)
    yield command
    command.close()


@pytest.fixture
def installation(chatq: Chatq, valkey: Valkey, database_url: str) -> Iterator[Installation]:
    """An installation of the test's own, on SQLite and on Postgres, of which nothing runs yet."""
    installation = Installation(chatq, valkey.url, database_url)
    yield installation
    installation.engine.dispose()
