"""The chat page in a real browser: two people talk, and little stops them."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

SECONDS = 20_000


def say(page: Page, text: str) -> None:
    """Write a message and send it with the keyboard."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def messages(page: Page) -> Locator:
    return page.get_by_role("log").locator(".message")


def texts(page: Page) -> list[str]:
    return messages(page).locator(".text").all_text_contents()


def expect_live(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("Live", timeout=SECONDS)


def expect_texts(page: Page, expected: list[str]) -> None:
    expect(messages(page).locator(".text")).to_have_text(expected, timeout=SECONDS)


def test_two_windows_talk_to_each_other(open_page: Open) -> None:
    alice, bob = open_page(user="alice", conversation="c"), open_page(user="bob", conversation="c")
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
    expect(messages(alice).nth(0).locator(".note")).to_have_text(re.compile(r"\d\d:\d\d"), timeout=SECONDS)
    assert alice.title() == "c · chatq"


def test_history_is_there_after_a_reload(open_page: Open, roles: Roles) -> None:
    for number in range(1, 61):
        last = roles.send("c", f"message {number}")
    until(lambda: roles.state(last) == "persisted")
    page = open_page(user="bob", conversation="c")
    expect_texts(page, [f"message {number}" for number in range(11, 61)])
    expect(messages(page).last).to_be_in_viewport()

    page.get_by_role("button", name="Earlier messages").click()

    expect_texts(page, [f"message {number}" for number in range(1, 61)])
    expect(page.get_by_role("button", name="Earlier messages")).to_be_hidden()
    page.reload()
    expect_texts(page, [f"message {number}" for number in range(11, 61)])


def test_content_is_text_and_never_markup(open_page: Open) -> None:
    alice, bob = open_page(user="alice", conversation="c"), open_page(user="bob", conversation="c")
    expect_live(bob)
    markup = "<img src=x onerror=alert(1)><b>bold</b>\n<script>alert(2)</script>"
    alice.get_by_label("Message", exact=True).fill(markup)
    alice.get_by_role("button", name="Send").click()
    expect_texts(bob, [markup])
    assert bob.locator("ol img, ol b, ol script").count() == 0


def test_edits_and_deletions_show(open_page: Open, roles: Roles) -> None:
    page = open_page(user="bob", conversation="c")
    expect_live(page)
    message = roles.store("c", "draft")
    expect_texts(page, ["draft"])
    roles.http.patch(f"/api/messages/{message['id']}", json={"content": "final"})
    expect_texts(page, ["final"])
    expect(messages(page).locator(".note")).to_contain_text("edited")
    roles.http.delete(f"/api/messages/{message['id']}")
    expect_texts(page, ["This message was deleted."])
    page.reload()
    expect_texts(page, ["This message was deleted."])


def test_message_shows_that_it_is_queued_until_it_is_stored(open_page: Open, roles: Roles) -> None:
    roles.chatq.close()
    roles.start_api()
    page = open_page(user="alice", conversation="c")
    expect_live(page)
    say(page, "patience")
    expect(messages(page).locator(".note")).to_have_text("queued", timeout=SECONDS)

    roles.start_worker()

    expect(messages(page).locator(".note")).to_have_text(re.compile(r"\d\d:\d\d"), timeout=SECONDS)
    assert texts(page) == ["patience"]


def test_nothing_is_lost_or_doubled_when_the_server_goes_and_comes(
    open_page: Open, roles: Roles, complaints: list[str]
) -> None:
    alice, bob = open_page(user="alice", conversation="c"), open_page(user="bob", conversation="c")
    expect_live(alice)
    expect_live(bob)
    say(alice, "before")
    expect_texts(bob, ["before"])

    roles.chatq.close()
    for page in (alice, bob):
        expect(page.get_by_role("status")).to_have_text("Reconnecting…", timeout=SECONDS)
    say(alice, "during 1")
    say(alice, "during 2")
    expect(messages(alice).nth(1).locator(".note")).to_have_text("waiting for the server…", timeout=SECONDS)
    roles.start_api()
    roles.start_worker()

    for page in (alice, bob):
        expect_texts(page, ["before", "during 1", "during 2"])
        expect_live(page)
    # The browser itself complains of each attempt that met no server.
    assert all("ERR_" in complaint or "WebSocket" in complaint for complaint in complaints), complaints
    complaints.clear()


def test_redis_goes_and_comes(open_page: Open, roles: Roles, valkey: Valkey, complaints: list[str]) -> None:
    alice, bob = open_page(user="alice", conversation="c"), open_page(user="bob", conversation="c")
    expect_live(bob)
    valkey.kill()
    say(alice, "through the outage")
    expect(messages(alice).locator(".note")).to_have_text("waiting for the server…", timeout=SECONDS)
    valkey.start()
    expect_texts(bob, ["through the outage"])
    expect_texts(alice, ["through the outage"])
    assert all("503" in complaint for complaint in complaints), complaints
    complaints.clear()


def test_message_that_is_refused_says_why(open_page: Open, complaints: list[str]) -> None:
    page = open_page(user="alice", conversation="c")
    expect_live(page)
    say(page, "x" * 20_000)
    expect(messages(page).locator(".note")).to_contain_text("at most 16384 are allowed", timeout=SECONDS)
    expect(messages(page)).to_have_class(re.compile("failed"))
    complaints.clear()


def test_who_comes_without_a_name_is_asked_for_it(open_page: Open) -> None:
    page = open_page()
    dialog = page.get_by_role("dialog", name="Join a conversation")
    expect(dialog).to_be_visible()
    page.get_by_label("Your name").fill("not allowed")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    page.get_by_label("Your name").fill("carol")
    page.keyboard.press("Enter")
    expect_live(page)
    expect(page.get_by_text("as carol")).to_be_visible()
    expect(page.get_by_role("heading", name="general")).to_be_visible()


def test_page_fits_narrow_and_wide_in_light_and_dark(open_page: Open, roles: Roles) -> None:
    roles.store("c", "wide " * 200)
    roles.store("c", "W" * 500)
    for width, dark in ((320, False), (320, True), (1400, False), (1400, True)):
        page = open_page(width, 600, dark=dark, user="bob", conversation="c")
        expect_live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
        luminance = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
        assert (luminance < 100) is dark
