"""The chat page where callers need tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from chatq.access.tokens import sign
from tests.browser.conftest import Open
from tests.browser.talking import expect_live, expect_texts, expect_tick, listed, say, somebody
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, fresh, installed


@pytest.fixture(scope="module")
def shared_roles() -> Iterator[Roles]:
    """An API that asks for tokens, and a worker."""
    with installed() as roles:
        roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
        roles.start_worker()
        yield roles


def enter(page: Page, token: str, room: str) -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_label("Conversation", exact=True).fill(room)
    page.get_by_role("button", name="Join").click()


def token(user: str = "alice", seconds: float = 60) -> str:
    return sign(SECRET, user, expires_at=time.time() + seconds)


def test_the_page_asks_for_a_token_and_talks_with_it(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_label("Your name")).to_be_hidden()
    enter(page, token(), fresh())
    expect_live(page)
    expect(page.get_by_text("as alice")).to_be_visible()
    say(page, "Hello")
    expect_texts(page, ["Hello"])
    # It is kept for this window, and not in the address.
    assert "eyJ" not in page.url
    page.reload()
    expect_texts(page, ["Hello"])


def test_the_page_asks_again_when_the_token_has_ended(open_page: Open, complaints: list[str]) -> None:
    page, room = open_page(), fresh()
    enter(page, token(seconds=4), room)
    expect_live(page)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("The token has expired.")
    enter(page, "nonsense.of.mine", room)
    expect(page.get_by_text("it does not say whose it is")).to_be_visible()
    enter(page, token(), room)
    expect_live(page)
    complaints.clear()


def test_what_was_written_is_there_when_one_has_signed_in_again(open_page: Open, complaints: list[str]) -> None:
    name, room, page = somebody("carol"), fresh(), open_page()
    enter(page, token(name, seconds=5), room)
    expect_live(page)
    page.evaluate("WebSocket.prototype.send = () => {}")
    say(page, "just in time")
    page.get_by_label("Message", exact=True).fill("half a thou")
    expect(page.get_by_label("Your token")).to_be_visible()
    enter(page, token(name), room)
    expect_live(page)
    expect_tick(page, "just in time", "Sent")
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")
    # Another user of the window sees nothing of it
    page.get_by_role("button", name="Switch").click()
    enter(page, token(somebody("dave")), fresh())
    expect_live(page)
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    expect_texts(page, [])
    complaints.clear()


def test_a_fragment_in_the_address_is_in_nobodys_way(open_page: Open, roles: Roles) -> None:
    page, room = open_page(), fresh()
    page.goto(f"{roles.url}/?conversation={room}#top")
    enter(page, token(), room)
    expect_live(page)


def test_who_was_let_out_may_be_let_in_again(open_page: Open, roles: Roles, complaints: list[str]) -> None:
    name, room = somebody("bob"), fresh()
    alice, bob = Person(roles, somebody("alice")), Person(roles, name)
    alice.make(room, bob)
    alice.sent(room, "hello")
    page = open_page()
    enter(page, token(name), room)
    expect_live(page)
    expect_texts(page, ["hello"])
    alice.sent(room, "and hear this")
    expect_texts(page, ["hello", "and hear this"])
    here = page.get_by_role("button", name="Nobody else is here")
    expect(here).to_be_visible()
    page.get_by_label("Message", exact=True).press_sequentially("I am wri")
    assert alice.ask("DELETE", f"/api/conversations/{room}/members/{name}").status_code == 204
    expect(page.get_by_text(f"You are not in {room} any more.")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_be_disabled()
    expect(here).to_be_hidden()
    # Which is told once
    page.get_by_role("heading", level=1).click()
    page.evaluate("fetch('/healthz')")
    expect(page.locator(".notice")).to_have_count(1)
    assert alice.ask("PUT", f"/api/conversations/{room}/members/{name}", {}).status_code in {200, 201}
    listed(page, room).click()
    expect(page.get_by_label("Message", exact=True)).to_be_enabled()
    say(page, "I am back")
    expect_tick(page, "I am back", "Sent")
    complaints.clear()


def test_members_are_let_in_and_strangers_are_not(open_page: Open, complaints: list[str]) -> None:
    alice, bob, carol = somebody("alice"), somebody("bob"), somebody("carol")
    page, room = open_page(), fresh()
    enter(page, token(alice), room)
    expect_live(page)
    # When Alice makes a conversation with a title, and lets somebody in later
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("What it is called").fill("Tea & biscuits")
    page.get_by_label("Who is in it, beside you").fill(bob)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Tea & biscuits")).to_be_visible()
    say(page, "the kettle is on")
    expect_texts(page, ["the kettle is on"])
    page.get_by_role("button", name="Nobody else is here").click()
    page.get_by_label("Let somebody in").fill(carol)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("dialog").get_by_role("listitem")).to_have_count(3)

    # Then it is in the lists of both
    for user in (bob, carol):
        other = open_page()
        enter(other, token(user), fresh())
        listed(other, "Tea & biscuits").click()
        expect_texts(other, ["the kettle is on"])
    # And nobody else gets in
    stranger = open_page()
    enter(stranger, token(somebody("mallory")), room)
    refusal = stranger.get_by_role("alert").get_by_text("The conversation could not be loaded")
    expect(refusal).to_be_visible()
    expect(stranger.get_by_label("Message", exact=True)).to_be_disabled()
    complaints.clear()
