"""The list of conversations, and the way from one to the other."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.talking import expect_live, expect_texts, field, listed, say, somebody, texts
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import until


def unread(roles: Roles, user: str) -> dict[str, int]:
    """Return how much a user has not read, by conversation, as the server has it."""
    listed = roles.http.get("/api/conversations", headers={"X-Chatq-User": user}).json()["conversations"]
    return {each["id"]: each["unreadCount"] for each in listed}


def test_list_tells_what_happens_elsewhere(open_page: Open, roles: Roles) -> None:
    bob, here, there = somebody("bob"), fresh(), fresh()
    for room in (here, there):
        roles.store(room, f"I am in {room}", senderId=bob)
    page = open_page(user=bob, conversation=here)
    expect_live(page)
    expect(listed(page, there).locator(".last")).to_have_text(f"You: I am in {there}")

    stored = roles.store(there, "first")
    roles.store(there, "second")
    expect(listed(page, there).locator(".last")).to_have_text("alice: second")
    expect(listed(page, there).locator(".badge")).to_have_text("2")
    expect(page.get_by_role("navigation").locator(".conversation .name")).to_have_text([there, here])
    expect(page).to_have_title(f"(2) {here} · chatq")
    # One who deletes a message that was not read takes it back
    roles.http.delete(f"/api/messages/{stored['id']}")
    expect(listed(page, there).locator(".badge")).to_have_text("1")

    # And reading in another window counts here as well
    other = open_page(user=bob, conversation=there)
    expect_texts(other, [f"I am in {there}", "This message was deleted.", "second"])
    expect(listed(page, there).locator(".badge")).to_be_hidden()
    expect(page).to_have_title(f"{here} · chatq")


def test_another_conversation_is_opened_without_loading_the_page(open_page: Open, roles: Roles) -> None:
    bob, one, two = somebody("bob"), fresh(), fresh()
    for room in (one, two):
        roles.store(room, f"hello {room}", senderId=bob)
    page = open_page(user=bob, conversation=one)
    expect_texts(page, [f"hello {one}"])
    page.evaluate("globalThis.sameDocument = true")
    field(page).fill("half a thou")

    listed(page, two).click()
    expect_texts(page, [f"hello {two}"])
    assert page.url.endswith(f"?user={bob}&conversation={two}")
    expect(field(page)).to_have_value("")
    say(page, "said in two")
    expect_texts(page, [f"hello {two}", "said in two"])

    page.go_back()
    expect_texts(page, [f"hello {one}"])
    expect(field(page)).to_have_value("half a thou")
    page.go_forward()
    expect_texts(page, [f"hello {two}", "said in two"])
    assert page.evaluate("globalThis.sameDocument")


def test_narrow_window_shows_one_at_a_time(open_page: Open, roles: Roles) -> None:
    bob, one, two = somebody("bob"), fresh(), fresh()
    for room in (one, two):
        roles.store(room, f"hello {room}", senderId=bob)
    page = open_page(360, 640, user=bob, conversation=one)
    expect_texts(page, [f"hello {one}"])
    expect(listed(page, two)).to_be_hidden()
    page.get_by_role("button", name="Back to all conversations").click()
    expect(field(page)).to_be_hidden()
    # What arrives in a conversation that is covered is not read
    roles.store(one, "while away")
    expect(listed(page, one).locator(".badge")).to_have_text("1")
    listed(page, two).click()
    expect_texts(page, [f"hello {two}"])
    expect(listed(page, one)).to_be_hidden()
    # The browser's own way back leads the same way
    page.go_back()
    expect(field(page)).to_be_hidden()
    listed(page, one).click()
    expect_texts(page, [f"hello {one}", "while away"])


def test_first_unread_message_is_where_one_begins(open_page: Open, roles: Roles) -> None:
    bob, elsewhere, room = somebody("bob"), fresh(), fresh()
    roles.store(room, "mine", senderId=bob)
    first = roles.store(room, "read already")
    roles.http.patch(f"/api/messages/{first['id']}", json={"status": "read"}, headers={"X-Chatq-User": bob})
    roles.store(elsewhere, "here", senderId=bob)
    page = open_page(1000, 400, user=bob, conversation=elsewhere)
    expect_live(page)
    for number in range(30):
        last = roles.send(room, f"new {number}")
    expect(listed(page, room).locator(".badge")).to_have_text("30")
    assert last
    listed(page, room).click()
    expect(page.locator(".fresh:visible")).to_have_count(1)
    expect(page.locator(".message", has=page.locator(".fresh:visible")).locator(".text")).to_have_text("new 0")
    expect(page.locator(".fresh:visible")).to_be_in_viewport()
    # What is below is offered, and is read when it is seen
    expect(listed(page, room).locator(".badge")).to_be_visible()
    page.get_by_role("button", name="↓").click()
    expect(listed(page, room).locator(".badge")).to_be_hidden()
    assert texts(page)[-1] == "new 29"
    # So it is for one who comes straight to it
    until(lambda: unread(roles, bob)[room] == 0)
    page.close()
    roles.store(room, "newest")
    page = open_page(user=bob, conversation=room)
    expect(page.locator(".message", has=page.locator(".fresh:visible")).locator(".text")).to_have_text("newest")
