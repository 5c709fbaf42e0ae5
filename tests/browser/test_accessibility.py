"""What a checker of accessibility says of the pages."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import find_faults
from tests.browser.conftest import Check, Open
from tests.browser.talking import (
    expect_live,
    expect_tick,
    field,
    listed,
    message,
    messages,
    say,
    somebody,
    store_many,
)
from tests.parts.roles import Roles, fresh

Look = tuple[int, bool]
"""How wide the window is, and whether it is dark."""
LOOKS = pytest.mark.parametrize(
    "look", [(1200, False), (1200, True), (360, False), (360, True)], ids=["light", "dark", "narrow", "narrow-dark"]
)


@LOOKS
def test_chat_page_in_all_its_states(
    open_page: Open, roles: Roles, check_accessibility: Check, complaints: list[str], look: Look
) -> None:
    (width, dark), room, carol = look, fresh(), somebody("carol")
    page = open_page(width, 800, dark=dark)
    expect(page.get_by_role("dialog", name="Join a conversation")).to_be_visible()
    check_accessibility(page)
    roles.store(fresh(), "elsewhere", senderId=carol)
    page.goto(f"{roles.url}/?user={carol}&conversation={room}")
    expect(page.get_by_text("Nothing has been said here yet.")).to_be_visible()
    check_accessibility(page)

    stored = roles.store(room, "this will be gone", senderId="bob")
    roles.http.delete(f"/api/messages/{stored['id']}")
    roles.store(room, "a word from Bob", senderId="bob")
    with roles.connect() as bob:
        bob.say("auth", userId="bob")
        bob.say("join", conversationId=room)
        bob.say("typing", conversationId=room, active=True)
        expect(page.locator("#typing")).to_have_text("bob is typing…")
        say(page, "mine")
        expect_tick(page, "mine", "Sent")
        say(page, "x" * 20_000)
        expect(messages(page).locator(".reason")).to_be_visible()
        check_accessibility(page)
    complaints.clear()  # the message is too large, and the browser says so as well
    check_changing(page, check_accessibility)
    if width < 400:
        page.get_by_role("button", name="Back to all conversations").click()
        expect(listed(page, room)).to_be_visible()
        check_accessibility(page)
    page.get_by_role("button", name="New conversation").click()
    check_accessibility(page)


def check_changing(page: Page, check: Check) -> None:
    """Check the menu, the editor, and each of the dialogs."""
    message(page, "mine").hover()
    message(page, "mine").locator(".more").click()
    expect(page.get_by_role("menu")).to_be_visible()
    check(page)
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")
    field(page).press("ArrowUp")
    expect(page.get_by_label("New text of the message")).to_be_focused()
    check(page)
    page.keyboard.press("Escape")
    page.locator("#here").click()
    expect(page.get_by_role("dialog", name="People")).to_be_visible()
    check(page)
    page.keyboard.press("Escape")


def test_those_who_listen_hear_what_arrives_and_not_the_past(open_page: Open, roles: Roles) -> None:
    room = fresh()
    store_many(roles, ({"conversationId": room, "senderId": "bob", "content": f"past {n}"} for n in range(70)))
    page = open_page(user="alice", conversation="elsewhere")
    expect_live(page)
    # Given that it is noted what comes into the list while it is read out
    page.evaluate(
        """(room) => {
          globalThis.heard = [];
          new MutationObserver((changes) => {
            if (document.querySelector("#log").getAttribute("aria-live") === "off") return;
            for (const { addedNodes } of changes) for (const node of addedNodes) heard.push(node.textContent);
          }).observe(document.querySelector("#list"), { childList: true });
          history.replaceState(null, "", location.search.replace("elsewhere", room));
          dispatchEvent(new PopStateEvent("popstate"));
        }""",
        room,
    )
    expect(message(page, "past 69")).to_be_in_viewport()
    page.get_by_role("region", name="Messages").evaluate("(scroll) => (scroll.scrollTop = 0)")
    expect(message(page, "past 0")).to_be_attached()
    log = page.get_by_role("log", name="Messages")
    expect(log).to_have_attribute("aria-live", "polite")
    assert page.evaluate("heard") == []
    roles.store(room, "now", senderId="bob")
    expect(message(page, "now")).to_be_attached()
    # Who said it is part of what is read, also where eyes are not told again
    (heard,) = page.evaluate("heard")
    assert "bob" in heard
    assert "now" in heard


def test_page_works_in_forced_colours_and_at_twice_the_size(open_page: Open, check_accessibility: Check) -> None:
    page = open_page(
        640, 400, user="alice", conversation=fresh(), context={"forced_colors": "active", "reduced_motion": "reduce"}
    )
    expect_live(page)
    # Text twice as large, as who sees badly sets it
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    say(page, "large")
    expect_tick(page, "large", "Sent")
    page.keyboard.press("ArrowUp")
    page.keyboard.type(" and clear")
    page.keyboard.press("Enter")
    expect(page.locator(".edited")).to_be_visible()
    for width in (320, 640):
        page.set_viewport_size({"width": width, "height": 400})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("button", name="Back to all conversations")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("status")).to_be_in_viewport(ratio=1)
        # Nothing is cut off at the edge of a message
        left = "(part) => part.getBoundingClientRect().left"
        assert page.locator(".edited").evaluate(left) >= page.locator(".bubble").evaluate(left)
    expect(message(page, "large and clear")).to_be_in_viewport()
    check_accessibility(page)
    # And the checker sees what is wrong
    page.evaluate("document.querySelector('#send').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('#send').removeAttribute('title')")
    assert [fault.split(":")[0] for fault in find_faults(page)] == ["button-name"]
