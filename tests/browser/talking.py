"""The chat page as the tests use it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from playwright.sync_api import Locator, Page, expect

from tests.parts.roles import Roles


def somebody(name: str) -> str:
    """Return the name of a user whom no other test knows."""
    return f"{name}-{uuid4().hex[:6]}"


def field(page: Page) -> Locator:
    """Where one writes."""
    return page.get_by_label("Message", exact=True)


def say(page: Page, text: str) -> None:
    """Write a message and send it with the keyboard."""
    field(page).fill(text)
    page.keyboard.press("Enter")


def messages(page: Page) -> Locator:
    return page.get_by_role("log").locator(".message")


def message(page: Page, text: str) -> Locator:
    return messages(page).filter(has=page.locator(".text").get_by_text(text, exact=True))


def texts(page: Page) -> list[str]:
    return messages(page).locator(".text").all_text_contents()


def listed(page: Page, name: str) -> Locator:
    """A conversation in the list."""
    found = page.get_by_role("navigation", name="Conversations").locator(".conversation")
    return found.filter(has=page.locator(".name").get_by_text(name, exact=True))


def expect_live(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("Live")


def expect_texts(page: Page, expected: list[str]) -> None:
    expect(messages(page).locator(".text")).to_have_text(expected)


def expect_tick(page: Page, text: str, state: str) -> None:
    """Wait until a message of one's own says how far it has come."""
    expect(message(page, text).locator(".tick")).to_have_attribute("aria-label", state)


def store_many(roles: Roles, messages: Iterable[dict[str, Any]]) -> None:
    """Store messages, each given as the fields of a ``sendMessage``, and wait until they are stored."""
    file = roles.chatq.directory / f"{uuid4().hex}.jsonl"
    file.write_text("".join(json.dumps(message) + "\n" for message in messages))
    done = roles.chatq("enqueue", "sendMessage", "--file", str(file), "--wait", env=roles.environment)
    assert done.returncode == 0, done.stderr
