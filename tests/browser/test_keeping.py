"""What one has written is not lost: not by a reload, a token that has ended, or a window full of new messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.talking import (
    expect_live,
    expect_texts,
    expect_tick,
    field,
    listed,
    message,
    say,
    somebody,
    store_many,
)
from tests.parts.roles import Roles, fresh, installed
from tests.parts.waiting import until


@pytest.fixture(scope="module")
def shared_roles() -> Iterator[Roles]:
    """An API whose worker the tests start themselves, each once there is something to find out without one."""
    with installed() as roles:
        roles.start_api()
        yield roles


@pytest.fixture
def worker(roles: Roles) -> Iterator[None]:
    """A worker, from the beginning."""
    running = roles.start_worker()
    yield
    running.terminate()


def reload(page: Page) -> None:
    """Load the page anew, though it asks whether one means it."""
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()


def kept(page: Page) -> list[str]:
    """Return the names under which the window keeps what was written."""
    names: list[str] = page.evaluate("Object.keys(sessionStorage)")
    return names


@pytest.mark.usefixtures("worker")
def test_drafts_outlast_a_reload_and_are_their_writers_alone(open_page: Open, roles: Roles) -> None:
    alice, here, there = somebody("alice"), fresh(), fresh()
    page = open_page(user=alice, conversation=here)
    expect_live(page)
    field(page).fill("half a thou")
    page.goto(f"{roles.url}/?user={alice}&conversation={there}")
    expect(field(page)).to_have_value("")
    page.goto(f"{roles.url}/?user={somebody('bob')}&conversation={here}")
    expect(field(page)).to_have_value("")
    page.goto(f"{roles.url}/?user={alice}&conversation={here}")
    expect(field(page)).to_have_value("half a thou")
    expect_live(page)
    say(page, "half a thought")
    expect_tick(page, "half a thought", "Sent")
    page.reload()
    expect_texts(page, ["half a thought"])
    expect(field(page)).to_have_value("")
    # And nothing of it stays
    assert kept(page) == []


def test_what_was_not_sent_is_sent_after_a_reload_once_and_by_its_sender(
    open_page: Open, roles: Roles, complaints: list[str]
) -> None:
    alice, room = somebody("alice"), fresh()
    page = open_page(user=alice, conversation=room)
    expect_live(page)
    # Given a message that was accepted, one that was refused, and one of which nobody knows
    say(page, "accepted")
    expect_tick(page, "accepted", "Queued")
    say(page, "x" * 20_000)
    expect(page.locator(".reason")).to_be_visible()
    page.context.set_offline(True)
    page.evaluate("WebSocket.prototype.send = () => {}")
    say(page, "unheard of")
    expect_tick(page, "unheard of", "Waiting for the server")
    page.context.set_offline(False)
    # When somebody else uses the window
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(f"{roles.url}/?user={somebody('bob')}&conversation={room}")
    expect_live(page)
    expect_texts(page, [])
    # And then Alice again, and everything is stored
    page.goto(f"{roles.url}/?user={alice}&conversation={room}")
    expect(page.locator(".reason")).to_contain_text("at most 16384")
    expect_tick(page, "unheard of", "Queued")
    running = roles.start_worker()
    expect_tick(page, "accepted", "Sent")
    expect_tick(page, "unheard of", "Sent")
    page.get_by_role("button", name="Discard").click()
    expect_texts(page, ["accepted", "unheard of"])
    assert {each["senderId"] for each in roles.page(room)["messages"]} == {alice}
    assert kept(page) == []
    running.terminate()
    complaints.clear()


def test_what_was_stored_while_nobody_looked_does_not_wait_for_ever(open_page: Open, roles: Roles) -> None:
    alice, here, there = somebody("alice"), fresh(), fresh()
    page = open_page(user=alice, conversation=here)
    expect_live(page)
    say(page, "mine")
    expect_tick(page, "mine", "Queued")
    page.goto("about:blank")
    # Given that it is stored by now, and out of sight behind others
    running = roles.start_worker()
    store_many(roles, ({"conversationId": here, "senderId": "bob", "content": f"bob {n}"} for n in range(60)))
    page.goto(f"{roles.url}/?user={alice}&conversation={there}")
    listed(page, here).click()
    expect(message(page, "bob 59")).to_be_attached()
    expect(page.locator(".message:not([data-id])")).to_have_count(0)
    assert kept(page) == []
    running.terminate()


@pytest.mark.usefixtures("worker")
def test_an_edit_goes_on_when_its_message_is_let_go(open_page: Open, roles: Roles) -> None:
    room = fresh()
    page = open_page(user="alice", conversation=room)
    expect_live(page)
    say(page, "frist")
    expect_tick(page, "frist", "Sent")
    field(page).press("ArrowUp")
    editor = page.get_by_label("New text of the message")
    editor.fill("fir")
    # When so much is said that the message is not in the document any more
    store_many(roles, ({"conversationId": room, "senderId": "bob", "content": f"bob {n}"} for n in range(310)))
    expect(message(page, "bob 309")).to_be_attached()
    expect(message(page, "frist")).to_have_count(0)
    # Then one goes on where one writes
    expect(page.get_by_role("region", name="You are editing your message of")).to_be_visible()
    expect(editor).to_be_focused()
    expect(editor).to_be_in_viewport()
    page.keyboard.type("st")
    page.keyboard.press("Enter")
    expect(editor).to_be_hidden()
    expect(field(page)).to_be_focused()
    expect(page.get_by_role("region", name="You are editing")).to_be_hidden()
    until(lambda: roles.page(room, after=0, limit=1)["messages"][0]["content"] == "first", what="the edit is stored")
