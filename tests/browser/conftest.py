"""A browser, and a running system for it to talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocket, expect

from tests.browser.accessibility import find_faults
from tests.browser.flickers import flickers
from tests.browser.talking import expect_live
from tests.parts.roles import Roles, fresh, installed
from tests.parts.told import CLIENT, SERVER, check_frame
from tests.parts.waiting import PATIENCE_MS

# Of whatever is expected; a window's own, below, is for whatever is done.
expect.set_options(timeout=PATIENCE_MS)

Open = Callable[..., Page]
Check = Callable[[Page], None]


@pytest.fixture(scope="session")
def shared_roles() -> Iterator[Roles]:
    """An API and a worker that the tests share; each uses conversations, and where it matters people, of its own."""
    with installed() as roles:
        roles.start_api()
        roles.start_worker()
        yield roles


@pytest.fixture
def roles(shared_roles: Roles) -> Roles:
    """The system that pages are opened at."""
    return shared_roles


@pytest.fixture
def own_roles(sqlite_roles: Roles) -> Roles:
    """An API and a worker of the test's own, for tests that break something."""
    sqlite_roles.start_api()
    sqlite_roles.start_worker()
    return sqlite_roles


@pytest.fixture
def complaints() -> list[str]:
    """What the pages' consoles complained of; a test that provokes complaints clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, roles: Roles, complaints: list[str]) -> Iterator[Open]:
    """A function that opens a page in a window of its own; at the end no page may have complained.

    Its arguments are the window's size, its ``path``, options of Playwright's ``new_context`` as a dictionary
    ``context``, the time ``now`` that the page is to believe, and what stands in the address.
    """
    contexts = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.text} ({message.location.get('url')})")

    def listen(websocket: WebSocket) -> None:
        websocket.on("framereceived", lambda message: hold(message, SERVER))
        websocket.on("framesent", lambda message: hold(message, CLIENT))

    def hold(message: str | bytes, side: str) -> None:
        try:
            check_frame(message, side)
        except AssertionError as error:
            complaints.append(str(error))

    def open_page(
        width: int = 1000,
        height: int = 700,
        *,
        dark: bool = False,
        path: str = "/",
        context: dict[str, Any] | None = None,
        now: str | None = None,
        **query: str,
    ) -> Page:
        opened = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **(context or {})
        )
        contexts.append(opened)
        opened.set_default_timeout(PATIENCE_MS)
        page = opened.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("websocket", listen)
        if now is not None:
            page.clock.set_fixed_time(now)
        page.goto(f"{roles.url}{path}?{urlencode(query)}")
        return page

    yield open_page
    for each in contexts:
        each.close()
    assert complaints == []


@pytest.fixture
def two(open_page: Open) -> Iterator[tuple[Page, Page]]:
    """Alice's and Bob's windows on one conversation; in neither may anything flicker that is watched."""
    room = fresh()
    alice, bob = open_page(user="alice", conversation=room), open_page(user="bob", conversation=room)
    expect_live(alice)
    expect_live(bob)
    yield alice, bob
    for page in (alice, bob):
        assert flickers(page) == []


@pytest.fixture
def check_accessibility() -> Check:
    """A function that fails if axe finds anything serious on a page as it is now."""

    def check(page: Page) -> None:
        assert find_faults(page) == []

    return check


@pytest.fixture
def picture_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where pictures go: among the documents with ``--pictures``, else nowhere that stays."""
    if not request.config.getoption("pictures"):
        return tmp_path
    directory = request.config.rootpath / "docs" / "pictures"
    directory.mkdir(parents=True, exist_ok=True)
    return directory
