"""The pictures in the documents: they can be taken, and those that are there are of the page as it is.

``pytest tests/browser/test_pictures.py --pictures`` takes them anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import pictures
from tests.browser.conftest import Open
from tests.browser.talking import expect_live, expect_tick, field
from tests.parts.roles import Roles, installed
from tests.parts.root import ROOT

COMMITTED = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def shared_roles() -> Iterator[Roles]:
    """A system in which a good deal was said."""
    with installed() as roles:
        roles.start_api()
        roles.start_worker()
        pictures.tell(roles)
        yield roles


LOOKS = {"chat-light": (1200, 800, False), "chat-dark": (1200, 800, True), "chat-narrow": (390, 800, False)}
"""How wide and how high each picture's window is, and whether it is dark."""


@pytest.mark.parametrize("name", LOOKS)
def test_chat_page(open_page: Open, roles: Roles, picture_directory: Path, name: str) -> None:
    width, height, dark = LOOKS[name]
    look = {"dark": dark, "context": pictures.SHARP, "now": pictures.NOW}
    page = open_page(width, height, **look, user="alice", conversation="launch")
    expect_live(page)
    with pictures.company(roles, "bob", "carol", "mei") as people:
        expect(page.locator("#here")).to_have_text("bob, carol and mei are here")
        expect_tick(page, "Thank you both!", "Delivered")
        people["mei"].say("typing", conversationId="launch", active=True)
        expect(page.locator("#typing")).to_have_text("mei is typing…")
        expect(field(page)).to_be_focused()
        taken = pictures.take(page, picture_directory / f"{name}.png")
    assert pictures.size(taken) == pictures.size(COMMITTED / f"{name}.png") == (2 * width, 2 * height)


def test_docs_page(open_page: Open, roles: Roles, picture_directory: Path) -> None:
    page = open_page(1200, 800, path="/docs", context=pictures.SHARP, now=pictures.NOW)
    operation = page.locator("article#getMessage")
    operation.get_by_text("Try it").click()
    message = roles.page("launch")["messages"][-1]
    operation.get_by_label("messageId").fill(message["id"])
    operation.get_by_role("button", name="Send GET request").click()
    expect(operation.get_by_role("status")).to_contain_text("200")
    operation.evaluate("(article) => article.scrollIntoView()")
    taken = pictures.take(page, picture_directory / "docs.png")
    assert pictures.size(taken) == pictures.size(COMMITTED / "docs.png") == (2400, 1600)
