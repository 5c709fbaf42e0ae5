"""The chat page in a real browser: people talk."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.talking import (
    expect_live,
    expect_texts,
    expect_tick,
    field,
    listed,
    message,
    messages,
    say,
)
from tests.parts.roles import Roles, fresh


def test_two_people_talk_to_each_other(open_page: Open) -> None:
    room = fresh()
    alice, bob = open_page(user="alice", conversation=room), open_page(user="bob", conversation=room)
    expect_live(alice)
    expect_live(bob)
    expect(alice.get_by_text("Nothing has been said here yet.")).to_be_visible()

    say(alice, "Hello Bob")
    expect_texts(bob, ["Hello Bob"])
    say(bob, "Hello Alice")
    expect_texts(alice, ["Hello Bob", "Hello Alice"])

    expect(alice.get_by_text("Nothing has been said here yet.")).to_be_hidden()
    expect(messages(alice).nth(0)).to_have_class(re.compile("mine"))
    expect(messages(bob).nth(0).locator(".sender")).to_have_text("alice")
    expect(messages(alice).nth(0).locator(".time")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(messages(alice).nth(0).locator(".day")).to_have_text("Today")
    assert alice.title().endswith(f"{room} · chatq")

    # Whoever comes back to the window on the next day, when nothing has happened since, sees that it is one
    expect_tick(alice, "Hello Bob", "Read")
    expect_tick(bob, "Hello Alice", "Read")
    alice.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=1))
    alice.evaluate("dispatchEvent(new Event('focus'))")
    expect(messages(alice).nth(0).locator(".day")).to_have_text("Yesterday")


def test_ticks_tell_how_far_a_message_has_come(open_page: Open) -> None:
    room = fresh()
    alice = open_page(user="alice", conversation=room)
    expect_live(alice)
    say(alice, "are you there?")
    expect_tick(alice, "are you there?", "Sent")

    # Given that Bob is there, and looks at something else
    bob = open_page(user="bob", conversation=room)
    expect_tick(alice, "are you there?", "Read")
    listed(bob, room).wait_for()
    bob.get_by_role("button", name="New conversation").click()
    bob.get_by_label("What it is called").fill(fresh())
    bob.get_by_role("button", name="Create").click()
    expect(bob.get_by_role("heading", level=1)).not_to_have_text(room)
    # When Alice goes on
    say(alice, "and now?")
    # Then he has it, but has not read it, until he comes back
    expect_tick(alice, "and now?", "Delivered")
    expect(listed(bob, room).locator(".badge")).to_have_text("1")
    listed(bob, room).click()
    expect_tick(alice, "and now?", "Read")
    expect(listed(bob, room).locator(".badge")).to_be_hidden()


def test_who_is_there_and_who_types_shows(open_page: Open) -> None:
    room = fresh()
    alice = open_page(user="alice", conversation=room)
    expect(alice.get_by_role("button", name="Nobody else is here")).to_be_visible()
    bob = open_page(user="bob", conversation=room)
    expect(alice.get_by_role("button", name="bob is here")).to_be_visible()
    expect_live(bob)
    field(bob).press_sequentially("I was th")
    expect(alice.locator("#typing")).to_have_text("bob is typing…")
    field(bob).press("Enter")
    expect_texts(alice, ["I was th"])
    expect(alice.locator("#typing")).to_be_empty()

    alice.get_by_role("button", name="bob is here").click()
    people = alice.get_by_role("dialog", name="People").get_by_role("listitem")
    expect(people).to_have_text([re.compile("alice \\(you\\).*here"), re.compile("bob.*here")])
    alice.keyboard.press("Escape")
    bob.close()
    expect(alice.get_by_role("button", name="Nobody else is here")).to_be_visible()


def test_edits_and_deletions_of_others_show(open_page: Open, roles: Roles) -> None:
    room = fresh()
    page = open_page(user="bob", conversation=room)
    expect_live(page)
    stored = roles.store(room, "draft")
    expect_texts(page, ["draft"])
    roles.http.patch(f"/api/messages/{stored['id']}", json={"content": "final"})
    expect_texts(page, ["final"])
    expect(messages(page).locator(".edited")).to_be_visible()
    roles.http.delete(f"/api/messages/{stored['id']}")
    expect_texts(page, ["This message was deleted."])
    page.reload()
    expect_texts(page, ["This message was deleted."])


def test_message_that_is_refused_says_why_and_can_be_tried_again(open_page: Open, complaints: list[str]) -> None:
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    say(page, "x" * 20_000)
    expect(messages(page).locator(".reason")).to_contain_text("at most 16384 are allowed")
    expect(messages(page).locator(".tick")).to_have_attribute("aria-label", "Not sent")
    say(page, "small")
    expect_tick(page, "small", "Sent")
    page.get_by_role("button", name="Retry").click()
    expect(messages(page).locator(".reason")).to_contain_text("at most 16384 are allowed")
    page.get_by_role("button", name="Discard").click()
    expect_texts(page, ["small"])
    complaints.clear()


def test_message_that_failed_after_it_was_accepted_says_so(open_page: Open, roles: Roles) -> None:
    room = fresh()
    # Given that a message is stored under the id that the page will choose, and that Redis has forgotten of it
    stored = roles.store(room, "this", clientMessageId="0" * 32)
    roles.forget(stored["id"])
    page = open_page(user="alice", conversation=room)
    expect_texts(page, ["this"])
    page.evaluate("crypto.getRandomValues = (bytes) => bytes")
    say(page, "that")
    expect(message(page, "that").locator(".reason")).to_contain_text("idempotency-mismatch")
    expect_tick(page, "that", "Not sent")
    page.get_by_role("button", name="Discard").click()
    expect_texts(page, ["this"])


def test_who_comes_without_a_name_is_asked_for_it(open_page: Open) -> None:
    page = open_page()
    dialog = page.get_by_role("dialog", name="Join a conversation")
    cancel = dialog.get_by_role("button", name="Cancel")
    expect(dialog).to_be_visible()
    expect(cancel).to_be_hidden()
    page.get_by_label("Your name").fill("not allowed")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.get_by_label("Your name").fill("carol")
    page.keyboard.press("Enter")
    expect_live(page)
    expect(page.get_by_text("as carol")).to_be_visible()
    expect(page.get_by_role("heading", name="general")).to_be_visible()
    # Whoever asks to be somebody else by mistake stays who they are
    page.get_by_role("button", name="Switch").click()
    cancel.click()
    expect(dialog).to_be_hidden()
    expect_live(page)


def test_page_fits_narrow_and_wide_in_light_and_dark(open_page: Open, roles: Roles) -> None:
    room = fresh()
    roles.store(room, "wide " * 200)
    roles.store(room, "W" * 500)
    # The narrowest is what is left of 640 pixels at 200 %.
    for width, dark in ((320, False), (320, True), (1400, False), (1400, True)):
        page = open_page(width, 600, dark=dark, user="bob", conversation=room)
        expect_live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()
        luminance = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (luminance < 100) is dark
