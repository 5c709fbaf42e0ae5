"""The chat page where callers need tokens."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from chatq.access.tokens import sign
from tests.browser.conftest import Open
from tests.browser.test_page import SECONDS, expect_live, expect_texts, say
from tests.parts.command import Chatq

SECRET = "a secret of more than thirty-two bytes"


@pytest.fixture
def chatq(chatq: Chatq) -> Chatq:
    """The command, where a secret is set."""
    chatq.environment["CHATQ_JWT_SECRET"] = SECRET
    return chatq


def enter(page: Page, token: str, room: str = "c") -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_label("Conversation", exact=True).last.fill(room)
    page.get_by_role("button", name="Join").click()


def token(seconds: float = 60) -> str:
    return sign(SECRET, "alice", expires_at=time.time() + seconds)


def test_the_page_asks_for_a_token_and_talks_with_it(open_page: Open, complaints: list[str]) -> None:
    page = open_page()
    expect(page.get_by_label("Your name")).to_be_hidden()
    enter(page, token())
    expect_live(page)
    expect(page.get_by_text("as alice")).to_be_visible()
    say(page, "Hello")
    expect_texts(page, ["Hello"])
    # It is kept for this window, and not in the address.
    assert "eyJ" not in page.url
    page.reload()
    expect_texts(page, ["Hello"])
    # The conversation was not there at first, and a browser tells of every status that is an error.
    complaints.clear()


def test_the_page_asks_again_when_the_token_has_ended(open_page: Open, complaints: list[str]) -> None:
    page = open_page()
    enter(page, token(seconds=1))
    expect_live(page)
    expect(page.get_by_label("Your token")).to_be_visible(timeout=SECONDS)
    enter(page, "nonsense.of.mine")
    expect(page.get_by_label("Your token")).to_be_visible(timeout=SECONDS)
    enter(page, token())
    expect_live(page)
    complaints.clear()
