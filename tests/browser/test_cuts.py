"""The chat page while its network goes and comes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.flickers import all_of_the_browser, watch
from tests.browser.talking import expect_live, expect_texts, expect_tick, field, message, say
from tests.parts.roles import Roles, fresh


def test_offline_and_back(two: tuple[Page, Page], complaints: list[str]) -> None:
    alice, bob = two
    say(alice, "before")
    expect_texts(bob, ["before"])
    for page in two:
        watch(page)
    bob.context.set_offline(True)
    expect(bob.get_by_role("status")).to_have_text("Reconnecting…")
    say(bob, "from the tunnel")
    say(alice, "can you hear me?")
    expect_tick(bob, "from the tunnel", "Waiting for the server")
    expect_tick(alice, "can you hear me?", "Sent")

    bob.context.set_offline(False)

    expect_texts(alice, ["before", "can you hear me?", "from the tunnel"])
    expect_texts(bob, ["before", "can you hear me?", "from the tunnel"])
    expect_live(bob)
    expect_tick(alice, "can you hear me?", "Read")
    assert all_of_the_browser(complaints), complaints
    complaints.clear()


def test_page_that_was_away_for_too_long_loads_anew(open_page: Open, roles: Roles, complaints: list[str]) -> None:
    room = fresh()
    page = open_page(user="alice", conversation=room)
    expect_live(page)
    roles.store(room, "one")
    expect_texts(page, ["one"])
    field(page).press("ArrowUp")
    page.evaluate("() => (document.querySelector('.message').mark = 'the same')")
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    for text in ("two", "three"):
        roles.store(room, text)
    # Given that what was missed is not kept any more
    with closing(sqlite3.connect(roles.environment["DATABASE_URL"].removeprefix("sqlite:///"))) as database, database:
        database.execute("DELETE FROM events WHERE conversation_id = ? AND seq <= 2", [room])
        database.execute("UPDATE conversations SET first_seq = 3 WHERE id = ?", [room])
    page.context.set_offline(False)
    expect_texts(page, ["one", "two", "three"])
    expect_live(page)
    # Then what had not changed was left alone, and who was writing goes on
    expect(page.get_by_label("New text of the message")).to_be_focused()
    assert page.evaluate("document.querySelector('.message').mark") == "the same"
    roles.store(room, "four")
    expect_texts(page, ["one", "two", "three", "four"])
    expect(message(page, "four")).to_be_in_viewport()
    complaints.clear()
