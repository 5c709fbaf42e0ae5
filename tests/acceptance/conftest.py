"""A running API and worker: shared by the tests of a module, or a test's own where it breaks something."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from tests.parts.command import Chatq
from tests.parts.engines import open_engine
from tests.parts.postgres import Postgres
from tests.parts.roles import Roles, installed
from tests.parts.valkey import Valkey

ONE_DATABASE = pytest.mark.parametrize("roles", ["sqlite"], indirect=True)
"""For what the database has no part in."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def roles(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[Roles]:
    """An API and a worker that the tests of a module share; each uses conversations of its own."""
    database = postgres.borrow_database() if request.param == "postgres" else None
    with installed(postgres.url(database) if database else None) as roles:
        roles.start_api()
        roles.start_worker()
        yield roles
    if database:
        postgres.return_database(database)


@pytest.fixture
def idle_roles(chatq: Chatq, valkey: Valkey, database_url: str) -> Iterator[Roles]:
    """An installation of the test's own, on SQLite and on Postgres, of which nothing runs yet."""
    roles = Roles(chatq, valkey.url, database_url)
    yield roles
    roles.close()


@pytest.fixture
def engine_of() -> Iterator[Callable[[Roles], Engine]]:
    """A function that opens an installation's database."""
    engines: list[Engine] = []

    def engine_of(roles: Roles) -> Engine:
        engines.append(open_engine(roles.environment["DATABASE_URL"]))
        return engines[-1]

    yield engine_of
    for engine in engines:
        engine.dispose()
