"""A browser, and a running system for it to talk to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.parts.command import Chatq
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey

Open = Callable[..., Page]

ARGUMENTS = [
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def roles(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> Iterator[Roles]:
    """An API and a worker of the test's own."""
    roles = Roles(chatq, valkey.url, sqlite_url)
    roles.start_api()
    roles.start_worker()
    yield roles
    roles.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages' consoles complained of; a test that provokes complaints clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, roles: Roles, complaints: list[str]) -> Iterator[Open]:
    """A function that opens the chat page in a window of its own; at the end no page may have complained."""
    contexts = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.text} ({message.location.get('url')})")

    def open_page(width: int = 1000, height: int = 700, *, dark: bool = False, **query: str) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{roles.url}/?{urlencode(query)}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
