"""Changing what one has said, by mouse and by keyboard."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.talking import expect_live, expect_texts, expect_tick, field, message, say, store_many
from tests.parts.roles import Roles, fresh


def begin(open_page: Open, *said: str) -> Page:
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    for text in said:
        say(page, text)
    for text in said:
        expect_tick(page, text, "Sent")
    return page


def open_menu(page: Page, text: str) -> None:
    message(page, text).hover()
    message(page, text).locator(".more").click()


def test_message_is_edited_in_its_place(open_page: Open) -> None:
    page = begin(open_page, "first", "secnod")
    open_menu(page, "secnod")
    page.get_by_role("menuitem", name="Edit").click()
    editor = page.get_by_label("New text of the message")
    expect(editor).to_be_focused()
    expect(editor).to_have_value("secnod")
    editor.fill("second")
    page.get_by_role("button", name="Save").click()
    expect_texts(page, ["first", "second"])
    expect(message(page, "second").locator(".edited")).to_be_visible()
    expect(field(page)).to_be_focused()


def test_the_menu_of_a_wide_message_is_within_a_narrow_window(open_page: Open) -> None:
    page = open_page(user="alice", conversation=fresh(), width=390)
    expect_live(page)
    text = "so many words that they fill all of the width that there is for a message on a phone"
    say(page, text)
    expect_tick(page, text, "Sent")
    open_menu(page, text)
    for name in ("Edit", "Delete"):
        expect(page.get_by_role("menuitem", name=name)).to_be_in_viewport(ratio=1)


def test_escape_leaves_it_as_it_was(open_page: Open) -> None:
    page = begin(open_page, "as it was")
    field(page).press("ArrowUp")
    editor = page.get_by_label("New text of the message")
    editor.fill("not this")
    page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    expect_texts(page, ["as it was"])
    expect(field(page)).to_be_focused()


def test_everything_is_within_reach_of_the_keyboard(open_page: Open) -> None:
    page = begin(open_page, "one", "two", "three")
    # ↑ in the empty field edits what was said last
    page.keyboard.press("ArrowUp")
    page.keyboard.type(" and a half")
    page.keyboard.press("Enter")
    expect_texts(page, ["one", "two", "three and a half"])
    # Tab leads to one message, arrows to the others, and the menu is one of them too
    page.keyboard.press("Shift+Tab")
    expect(message(page, "three and a half").locator(".more")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(message(page, "two").locator(".more")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(message(page, "two").locator(".more")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    # A question comes before it is gone, and the safe answer first
    dialog = page.get_by_role("dialog", name="Delete this message?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect_texts(page, ["one", "two", "three and a half"])
    expect(message(page, "two").locator(".more")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_texts(page, ["one", "This message was deleted.", "three and a half"])
    expect(field(page)).to_be_focused()


def test_own_last_message_is_found_where_others_have_said_much_since(open_page: Open, roles: Roles) -> None:
    # Given a conversation whose newest page has nothing of alice's
    room = fresh()
    said = [{"conversationId": room, "senderId": "alice", "content": "long ago"}]
    said += [{"conversationId": room, "senderId": "bob", "content": f"{number}\n\n\n\n"} for number in range(120)]
    store_many(roles, said)
    page = open_page(user="alice", conversation=room)
    expect(message(page, said[-1]["content"])).to_be_in_viewport()
    expect(message(page, "long ago")).not_to_be_attached()
    # When she goes for what she said last
    field(page).press("ArrowUp")
    # Then it is there, to be edited
    editor = page.get_by_label("New text of the message")
    expect(editor).to_have_value("long ago")
    expect(editor).to_be_focused()
    expect(editor).to_be_in_viewport()


def test_own_last_message_that_is_too_far_back_is_told_of(open_page: Open, roles: Roles) -> None:
    room = fresh()
    said = [{"conversationId": room, "senderId": "alice", "content": "long ago"}]
    said += [{"conversationId": room, "senderId": "bob", "content": str(number)} for number in range(350)]
    store_many(roles, said)
    page = open_page(user="alice", conversation=room)
    expect(message(page, "349")).to_be_in_viewport()
    field(page).press("ArrowUp")
    expect(page.get_by_role("alert").get_by_text("too far back")).to_be_visible()
    expect(message(page, "349")).to_be_in_viewport()


def test_change_that_is_refused_says_why_and_keeps_the_text(open_page: Open, complaints: list[str]) -> None:
    page = begin(open_page, "small")
    field(page).press("ArrowUp")
    editor = page.get_by_label("New text of the message")
    editor.fill("x" * 20_000)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").get_by_text("at most 16384 are allowed")).to_be_visible()
    expect(editor).to_have_value("x" * 20_000)
    page.get_by_role("button", name="Dismiss").click()
    page.keyboard.press("Escape")
    editor.press("Escape")
    expect_texts(page, ["small"])
    complaints.clear()
