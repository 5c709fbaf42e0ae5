"""What happens crosswise: something is changed, read or left just while somebody is busy with it."""

from __future__ import annotations

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
from tests.parts.roles import Roles, fresh


def test_tick_never_goes_back(open_page: Open, roles: Roles) -> None:
    room = fresh()
    page = open_page(user="alice", conversation=room)
    expect_live(page)
    for user in ("bob", "carol"):
        roles.store(room, f"{user} is here", senderId=user)
    say(page, "hello")
    expect_tick(page, "hello", "Sent")
    # When Bob has read it, and only then it comes to Carol
    for user, status in (("bob", "read"), ("carol", "delivered")):
        address = f"/api/messages/{message(page, 'hello').get_attribute('data-id')}"
        assert roles.http.patch(address, json={"status": status}, headers={"X-Chatq-User": user}).status_code == 202
    roles.store(room, "at last", senderId="carol")
    # Then it stays read
    expect(message(page, "at last")).to_be_visible()
    expect_tick(page, "hello", "Read")


def page_with_a_menu_open(open_page: Open) -> Page:
    """Open a page whose user has said hello, and opened the menu of that message."""
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    say(page, "hello")
    expect_tick(page, "hello", "Sent")
    message(page, "hello").hover()
    message(page, "hello").locator(".more").click()
    return page


def delete_elsewhere(page: Page, roles: Roles) -> None:
    """Have the message deleted from another place, and wait until the page shows it."""
    stored = message(page, "hello").get_attribute("data-id")
    roles.http.delete(f"/api/messages/{stored}", headers={"X-Chatq-User": "alice"})
    expect_texts(page, ["This message was deleted."])


def test_menu_of_a_message_that_is_deleted_elsewhere_closes(open_page: Open, roles: Roles) -> None:
    page = page_with_a_menu_open(open_page)
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
    delete_elsewhere(page, roles)
    expect(page.get_by_role("menu")).to_be_hidden()
    expect(field(page)).to_be_focused()


def test_message_that_goes_while_one_is_asked_about_it_is_gone(open_page: Open, roles: Roles) -> None:
    page = page_with_a_menu_open(open_page)
    page.get_by_role("menuitem", name="Delete").click()
    delete_elsewhere(page, roles)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    # It looks like any other that is gone, and no longer as if it were going
    expect(page.locator(".going")).to_have_count(0)


def test_focus_is_not_lost_with_the_buttons_of_a_message_that_failed(open_page: Open) -> None:
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    field(page).evaluate("(field) => (field.value = 'x'.repeat(20_000))")
    page.keyboard.press("Enter")
    for button in ("Retry", "Discard"):
        page.get_by_role("button", name=button).press("Enter")
        expect(field(page)).to_be_focused()
    expect_texts(page, [])


def test_what_was_stored_while_one_was_elsewhere_does_not_wait_any_more(open_page: Open, roles: Roles) -> None:
    alice, here, there = somebody("alice"), fresh(), fresh()
    for room in (here, there):
        roles.store(room, f"I am in {room}", senderId=alice)
    page = open_page(user=alice, conversation=here)
    expect_texts(page, [f"I am in {here}"])
    expect(listed(page, there)).to_be_visible()
    expect_live(page)
    # Given a message that one goes away from before it is stored, and a page of others after it
    page.evaluate("document.querySelector('#text').value = 'mine'")
    page.evaluate(
        """(there) => {
          document.querySelector("#composer").requestSubmit();
          document.querySelector(`[data-id="${there}"]`).click();
        }""",
        there,
    )
    expect(listed(page, here).locator(".last")).to_have_text("You: mine")
    store_many(roles, ({"conversationId": here, "senderId": "bob", "content": f"bob {n}"} for n in range(60)))
    expect(listed(page, here).locator(".last")).to_have_text("bob: bob 59")
    # When one comes back
    listed(page, here).click()
    # Then the newest is the last, and what one said is not still waiting below it
    expect(message(page, "bob 59")).to_be_visible()
    expect(page.locator(".message").last.locator(".text")).to_have_text("bob 59")
    expect(page.locator(".message:not([data-id])")).to_have_count(0)


def test_conversation_that_no_address_can_name_is_refused_in_words(open_page: Open) -> None:
    page = open_page(user="alice", conversation="..")
    expect(page.get_by_text("no address can name")).to_be_visible()
    expect(field(page)).to_be_disabled()
    # One that is to be called so has another id
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("What it is called").fill("..")
    page.get_by_role("button", name="Create").click()
    expect(field(page)).to_be_enabled()
    expect(page.get_by_role("heading", name="..", exact=True)).to_be_visible()
    say(page, "hello")
    expect_tick(page, "hello", "Sent")
