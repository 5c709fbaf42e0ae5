"""A history of thousands: it begins at its end, comes as one scrolls, and weighs no more for being long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.talking import (
    expect_live,
    expect_texts,
    message,
    messages,
    say,
    somebody,
    store_many,
    texts,
)
from tests.parts.roles import Roles, fresh, installed
from tests.parts.waiting import until

COUNT = 5_000
KEPT = 300

Numbers = list[int]


@pytest.fixture(scope="module")
def shared_roles() -> Iterator[Roles]:
    """A system with a long conversation in it."""
    with installed() as roles:
        roles.start_api()
        roles.start_worker()
        store_many(
            roles,
            (
                {"conversationId": "long", "senderId": ("alice", "bob", "carol")[n % 3], "content": lines(n)}
                for n in range(COUNT)
            ),
        )
        yield roles


def lines(number: int) -> str:
    """Return a message of some lines, whose first is its number."""
    return "\n".join([str(number), *["more of it"] * (number * 7 % 4)])


def numbers(page: Page) -> Numbers:
    """Return the numbers of the messages in the document, after checking that they are in order without a gap."""
    found = [int(text.split()[0]) for text in texts(page)]
    assert found == list(range(found[0], found[0] + len(found)))
    assert len(found) <= KEPT
    return found


def scroll_until(page: Page, number: int, by: int) -> None:
    """Turn the mouse wheel until a message is in the document, and check that what was seen did not jump."""
    page.get_by_role("region", name="Messages").hover()
    for _ in range(2_000):
        if number in numbers(page):
            return
        page.mouse.wheel(0, by)
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    raise AssertionError(f"message {number} never came")


def test_history_comes_as_one_scrolls_and_stays_small(open_page: Open) -> None:
    page = open_page(user="dave", conversation="long")
    expect(message(page, lines(COUNT - 1))).to_be_in_viewport()
    assert numbers(page)[-1] == COUNT - 1

    scroll_until(page, 3_900, by=-3_000)
    # Whoever is up there is told of what comes, and is left where they are
    expect(page.get_by_role("button", name="To the newest ↓")).to_be_visible()
    assert numbers(page)[-1] < COUNT - 1

    scroll_until(page, COUNT - 1, by=3_000)
    page.get_by_role("button", name="↓").click()
    expect(message(page, lines(COUNT - 1))).to_be_in_viewport()


def test_what_one_reads_stays_where_it_is_when_earlier_messages_come(open_page: Open) -> None:
    page = open_page(user="dave", conversation="long")
    expect(message(page, lines(COUNT - 1))).to_be_in_viewport()
    first = numbers(page)[0]
    page.evaluate(
        """() => {
          const scroll = document.querySelector("#scroll");
          globalThis.jumps = [];
          let seen = null;
          let top = 0;
          // Between two frames, what is seen moves by what was scrolled, whatever has come above it.
          const look = () => {
            const first = [...document.querySelectorAll(".message")].find((e) => e.getBoundingClientRect().bottom > 60);
            if (seen?.isConnected && Math.abs(seen.getBoundingClientRect().top - top) > 1) jumps.push(seen.textContent);
            [seen, top] = [first, first.getBoundingClientRect().top];
            globalThis.watching = requestAnimationFrame(look);
          };
          scroll.scrollTop = 400;
          requestAnimationFrame(() => setTimeout(look));
        }"""
    )
    expect(message(page, lines(first - 1))).to_be_attached()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("jumps") == []


def test_who_scrolls_without_a_network_asks_now_and_then(open_page: Open, complaints: list[str]) -> None:
    page = open_page(user="dave", conversation="long")
    expect(message(page, lines(COUNT - 1))).to_be_in_viewport()
    expect_live(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    page.evaluate(
        """async () => {
          for (let turn = 0; turn < 20; turn += 1) {
            document.querySelector("#scroll").scrollTop = turn % 2;
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            await fetch("/healthz").catch(() => {});
          }
        }"""
    )
    assert len([url for url in asked if "healthz" in url]) == 20
    assert len([url for url in asked if "before=" in url]) < 10
    complaints.clear()


def test_what_is_said_meanwhile_is_there_for_who_comes_back_to_the_end(open_page: Open, roles: Roles) -> None:
    room = fresh()
    store_many(roles, ({"conversationId": room, "senderId": "alice", "content": lines(n)} for n in range(450)))
    page = open_page(user="dave", conversation=room)
    expect(message(page, lines(449))).to_be_in_viewport()
    expect_live(page)
    scroll_until(page, 60, by=-3_000)
    for number in range(450, 453):
        roles.store(room, str(number))
    expect(page.get_by_role("button", name="New messages ↓")).to_be_visible()
    assert numbers(page)[-1] < 449
    # By hand, page after page
    scroll_until(page, 452, by=3_000)
    # At once, to say something oneself
    scroll_until(page, 60, by=-3_000)
    say(page, "453")
    expect(message(page, "453")).to_be_in_viewport()
    assert numbers(page)[-1] == 453


def test_more_than_a_page_that_was_not_read_begins_further_up(open_page: Open, roles: Roles) -> None:
    erin = {"X-Chatq-User": somebody("erin")}
    roles.http.put(f"/api/conversations/long/members/{erin['X-Chatq-User']}")
    answer = roles.http.get("/api/conversations/long/messages", params={"limit": 80}).json()
    read, first = answer["messages"][:2]
    roles.http.patch(f"/api/messages/{read['id']}", json={"status": "read"}, headers=erin)
    until(lambda: roles.http.get("/api/conversations", headers=erin).json()["conversations"][0]["unreadCount"] == 79)
    page = open_page(user=erin["X-Chatq-User"], conversation="long")
    expect_live(page)
    expect(message(page, lines(COUNT - 1))).to_be_in_viewport()
    expect(page.locator(".fresh:visible")).to_have_count(0)
    scroll_until(page, COUNT - 80, by=-3_000)
    expect(page.locator(".message", has=page.locator(".fresh:visible")).locator(".text")).to_have_text(first["content"])


def test_page_that_stays_open_stays_small(open_page: Open, roles: Roles) -> None:
    room = fresh()
    page = open_page(user="dave", conversation=room)
    expect_live(page)
    store_many(roles, ({"conversationId": room, "senderId": "alice", "content": lines(n)} for n in range(350)))
    expect(message(page, lines(349))).to_be_in_viewport()
    assert numbers(page) == list(range(50, 350))
    scroll_until(page, 0, by=-3_000)


def test_history_is_there_after_a_reload(open_page: Open, roles: Roles) -> None:
    room = fresh()
    for text in ("one", "two"):
        roles.store(room, text)
    page = open_page(user="bob", conversation=room)
    expect_texts(page, ["one", "two"])
    expect(page.get_by_role("button", name="Earlier messages")).to_be_hidden()
    page.reload()
    expect_texts(page, ["one", "two"])
    expect(messages(page).last).to_be_in_viewport()
