"""Clients of each kind, and a system for them to talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.driven import KINDS, Driven
from tests.parts.command import Running
from tests.parts.roles import Roles, installed
from tests.parts.wire import Wire

Open = Callable[..., Driven]


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """The settings of a module's API, beyond where it listens and what it uses."""
    return {}


@pytest.fixture(scope="module")
def roles(settings: dict[str, str]) -> Iterator[Roles]:
    """An API and a worker that the tests of a module share; each uses conversations of its own."""
    with installed() as roles:
        roles.start_api(env=settings)
        roles.start_worker()
        yield roles


@pytest.fixture
def api(sqlite_roles: Roles) -> Running:
    """The test's own API."""
    return sqlite_roles.start_api()


@pytest.fixture
def own_roles(sqlite_roles: Roles, api: Running) -> Roles:
    """The test's own installation with an API and a worker."""
    sqlite_roles.start_worker()
    return sqlite_roles


@pytest.fixture
def wire(roles: Roles) -> Iterator[Wire]:
    """A network in front of the API that loses what it is told to lose."""
    wire = Wire(roles.port)
    yield wire
    wire.close()


EVERY_KIND = pytest.mark.parametrize("open_client", KINDS, indirect=True)
"""For what may go otherwise under gevent's monkey-patching: waiting, timers, threads, and what goes over sockets."""


@pytest.fixture(params=["javascript", "threads"])
def open_client(request: pytest.FixtureRequest, roles: Roles) -> Iterator[Open]:
    """A function that starts a client: the test runs once with that for browsers and once with that for Python."""
    clients = []

    def open_client(url: str = roles.url, **options: Any) -> Driven:
        options = options or {"userId": "alice"}
        clients.append(Driven(request.param, url, **options))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()
