"""The tutorial, from an empty folder on: installed by pip, and looked at in a real browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.documents.conftest import Read
from tests.documents.markdown import Block
from tests.documents.reader import Reader
from tests.parts.ports import free_port
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_MS


class Windows:
    """What the reader of the tutorial sees in a browser."""

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context()
        self._context.set_default_timeout(PATIENCE_MS)
        self._pages: dict[str, Page] = {}

    def close(self) -> None:
        self._context.close()

    def talk(self, reader: Reader, block: Block) -> None:
        for name in ("alice", "bob"):
            self._open(name, reader.adapted(f"http://127.0.0.1:8000/?user={name}&conversation=general"))
            expect(self._pages[name].get_by_role("status")).to_have_text("Live", timeout=PATIENCE_MS)
        self._say("alice", "hello bob")
        self._all_see("hello bob")

    def see_carol(self, reader: Reader, block: Block) -> None:
        self._all_see("hello from curl")

    def talk_on_own_page(self, reader: Reader, block: Block) -> None:
        for sign in ("Serving HTTP", "ready: the page"):
            reader.running.wait_for(sign)
        for page in self._pages.values():
            # The system was started anew meanwhile, and nobody waits out the pause between two attempts.
            page.evaluate("dispatchEvent(new Event('online'))")
        self._open("dora", reader.adapted("http://127.0.0.1:3000/"))
        self._all_see("hello bob")
        self._say("dora", "hello from my page")
        self._all_see("hello from my page")

    def _open(self, name: str, url: str) -> None:
        self._pages[name] = self._context.new_page()
        self._pages[name].goto(url)

    def _say(self, name: str, text: str) -> None:
        self._pages[name].get_by_label("Message", exact=True).fill(text)
        self._pages[name].keyboard.press("Enter")

    def _all_see(self, text: str) -> None:
        for page in self._pages.values():
            # The page of chatq shows it in the list of conversations as well, which comes first.
            expect(page.get_by_text(text).last).to_be_visible(timeout=PATIENCE_MS)


@pytest.fixture
def windows(browser: Browser) -> Iterator[Windows]:
    windows = Windows(browser)
    yield windows
    windows.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_tutorial(reader: Read, windows: Windows, tmp_path: Path) -> None:
    # Given a checkout, and what chatq and its build require where the tests have it, so that pip loads nothing.
    # pip reads its variables for options that begin with "no" the other way round: 0 is no isolation.
    (tmp_path / "chatq").symlink_to(ROOT)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"HOME": os.environ["HOME"], "PATH": path, **pip, "PIP_NO_BUILD_ISOLATION": "0"}

    def add_what_it_requires(reader: Reader, block: Block) -> None:
        (packages,) = reader.directory.glob(".venv/lib/python3*/site-packages")
        installed = "".join(f"{path}\n" for path in sys.path if "-packages" in path)
        (packages / "of_the_tests.pth").write_text(installed)

    site = free_port()
    # When somebody does what it says, then all that it shows is to be seen
    reader(
        "docs/tutorial.md",
        environment=environment,
        replaced={"127.0.0.1:3000": f"127.0.0.1:{site}", "http.server 3000": f"http.server {site}"},
        sees={
            "what it requires": add_what_it_requires,
            "two windows": windows.talk,
            "carol in both windows": windows.see_carol,
            "my own page": windows.talk_on_own_page,
        },
    ).read()
