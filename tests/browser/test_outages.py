"""The chat page while its server, its Redis or its network goes and comes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.talking import SECONDS, expect_live, expect_texts, expect_tick, field, message, say, texts
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey

FLICKERS = """
() => {
  // Whatever is taken out of the list, or comes into it twice, is noted.
  globalThis.flickers = [];
  const note = (kind, node) => node.matches?.(".message") && flickers.push(`${kind} ${node.textContent}`);
  const count = (id) => document.querySelectorAll(`[data-id="${id}"]`).length;
  new MutationObserver((changes) => {
    for (const { addedNodes, removedNodes } of changes) {
      removedNodes.forEach((node) => note("removed", node));
      addedNodes.forEach((node) => count(node.dataset?.id) > 1 && note("twice", node));
    }
  }).observe(document.querySelector("#list"), { childList: true });
}
"""


@pytest.fixture
def roles(own_roles: Roles) -> Roles:
    """A system of the test's own."""
    return own_roles


@pytest.fixture
def two(open_page: Open) -> Iterator[tuple[Page, Page]]:
    """Alice's and Bob's windows."""
    alice, bob = open_page(user="alice", conversation="c"), open_page(user="bob", conversation="c")
    expect_live(alice)
    expect_live(bob)
    yield alice, bob
    for page in (alice, bob):
        assert page.evaluate("globalThis.flickers ?? []") == []


def all_of_the_browser(complaints: list[str]) -> bool:
    """Tell whether only the browser itself complained: of each attempt that met no server, or one that is not ready."""
    return all("ERR_" in each or "WebSocket" in each or "503" in each for each in complaints)


def test_nothing_is_lost_doubled_or_moved_when_the_server_is_killed_while_both_type(
    two: tuple[Page, Page], roles: Roles, complaints: list[str]
) -> None:
    alice, bob = two
    said = [f"before {number}" for number in range(30)]
    for text in said:
        say(alice, text)
    expect_texts(bob, said)
    for page in two:
        page.evaluate(FLICKERS)
    # Given that Bob reads what was said earlier, and both are writing
    bob.get_by_role("region", name="Messages").evaluate("(scroll) => scroll.scrollTo(0, 200)")
    place = bob.locator(".message").nth(8).evaluate("(element) => element.getBoundingClientRect().top")
    field(alice).press_sequentially("half a thou")
    field(bob).press_sequentially("half a sen")

    # When everything is killed, and they go on
    roles.chatq.close()
    for page in two:
        expect(page.get_by_role("status")).to_have_text("Reconnecting…", timeout=SECONDS)
    field(alice).press_sequentially("ght")
    alice.keyboard.press("Enter")
    say(alice, "and another")
    expect_tick(alice, "half a thought", "Waiting for the server")
    expect(field(bob)).to_have_value("half a sen")
    roles.start_api()
    roles.start_worker()

    # Then all is there once, nobody has lost what they wrote, and Bob's place is where it was
    said += ["half a thought", "and another"]
    for page in two:
        expect_texts(page, said)
        expect_live(page)
    assert bob.locator(".message").nth(8).evaluate("(element) => element.getBoundingClientRect().top") == place
    field(bob).press_sequentially("tence")
    bob.keyboard.press("Enter")
    expect_texts(alice, [*said, "half a sentence"])
    assert all_of_the_browser(complaints), complaints
    complaints.clear()


def test_offline_and_back(two: tuple[Page, Page], complaints: list[str]) -> None:
    alice, bob = two
    say(alice, "before")
    expect_texts(bob, ["before"])
    for page in two:
        page.evaluate(FLICKERS)
    bob.context.set_offline(True)
    expect(bob.get_by_role("status")).to_have_text("Reconnecting…", timeout=SECONDS)
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


def test_redis_goes_and_comes(two: tuple[Page, Page], valkey: Valkey, complaints: list[str]) -> None:
    alice, bob = two
    valkey.kill()
    say(alice, "through the outage")
    expect_tick(alice, "through the outage", "Waiting for the server")
    valkey.start()
    expect_texts(bob, ["through the outage"])
    expect_tick(alice, "through the outage", "Read")
    assert all_of_the_browser(complaints), complaints
    complaints.clear()


def test_message_is_queued_until_a_worker_stores_it(open_page: Open, roles: Roles) -> None:
    roles.chatq.close()
    roles.start_api()
    page = open_page(user="alice", conversation="c")
    expect_live(page)
    say(page, "patience")
    expect_tick(page, "patience", "Queued")

    roles.start_worker()

    expect_tick(page, "patience", "Sent")
    assert texts(page) == ["patience"]


def test_message_that_was_refused_is_sent_by_a_retry(open_page: Open, roles: Roles, complaints: list[str]) -> None:
    roles.chatq.close()
    api = roles.start_api(env={"CHATQ_MAX_CONTENT_BYTES": "10"})
    roles.start_worker()
    page = open_page(user="alice", conversation="c")
    expect_live(page)
    say(page, "more than ten bytes")
    expect(message(page, "more than ten bytes").locator(".reason")).to_contain_text("at most 10", timeout=SECONDS)
    # Given that the operator has had mercy
    api.terminate()
    roles.start_api()
    expect_live(page)
    page.get_by_role("button", name="Retry").click()
    expect_tick(page, "more than ten bytes", "Sent")
    expect(page.locator(".reason")).to_have_count(0)
    assert texts(page) == ["more than ten bytes"]
    complaints.clear()


def test_message_that_failed_after_it_was_accepted_says_so(open_page: Open, roles: Roles, valkey: Valkey) -> None:
    # Given that a message is stored under the id that the page will choose, and that Redis has forgotten of it
    stored = roles.store("c", "this", clientMessageId="0" * 32)
    operator = valkey.client()
    operator.delete(f"chatq:seen:{stored['id']}")
    operator.close()
    page = open_page(user="alice", conversation="c")
    expect_texts(page, ["this"])
    page.evaluate("crypto.getRandomValues = (bytes) => bytes")
    say(page, "that")
    expect(message(page, "that").locator(".reason")).to_contain_text("idempotency-mismatch", timeout=SECONDS)
    expect_tick(page, "that", "Not sent")
    page.get_by_role("button", name="Discard").click()
    expect_texts(page, ["this"])


def test_page_that_was_away_for_too_long_loads_anew(open_page: Open, roles: Roles, complaints: list[str]) -> None:
    page = open_page(user="bob", conversation="c")
    expect_live(page)
    roles.store("c", "one")
    expect_texts(page, ["one"])
    page.evaluate("() => (document.querySelector('.message').mark = 'the same')")
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text("Reconnecting…", timeout=SECONDS)
    for text in ("two", "three"):
        roles.store("c", text)
    # Given that what was missed is not kept any more
    with closing(sqlite3.connect(roles.environment["DATABASE_URL"].removeprefix("sqlite:///"))) as database, database:
        database.execute("DELETE FROM events WHERE seq <= 2")
        database.execute("UPDATE conversations SET first_seq = 3")
    page.context.set_offline(False)
    expect_texts(page, ["one", "two", "three"])
    expect_live(page)
    # Then what had not changed was left alone
    assert page.evaluate("document.querySelector('.message').mark") == "the same"
    roles.store("c", "four")
    expect_texts(page, ["one", "two", "three", "four"])
    expect(message(page, "four")).to_be_in_viewport()
    complaints.clear()
