"""The chat page while its server, its Redis or its network goes and comes."""

from __future__ import annotations

import pytest
import redis
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.flickers import all_of_the_browser, watch
from tests.browser.talking import expect_live, expect_texts, expect_tick, field, message, say, texts
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey


@pytest.fixture
def roles(own_roles: Roles) -> Roles:
    """A system of the test's own."""
    return own_roles


def test_nothing_is_lost_doubled_or_moved_when_the_server_is_killed_while_both_type(
    two: tuple[Page, Page], roles: Roles, complaints: list[str]
) -> None:
    alice, bob = two
    said = [f"before {number}" for number in range(30)]
    for text in said:
        say(alice, text)
    expect_texts(bob, said)
    for page in two:
        watch(page)
    # Given that Bob reads what was said earlier, and both are writing
    bob.get_by_role("region", name="Messages").evaluate("(scroll) => scroll.scrollTo(0, 200)")
    place = bob.locator(".message").nth(8).evaluate("(element) => element.getBoundingClientRect().top")
    field(alice).press_sequentially("half a thou")
    field(bob).press_sequentially("half a sen")

    # When everything is killed, and they go on
    roles.chatq.close()
    for page in two:
        expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    field(alice).press_sequentially("ght")
    alice.keyboard.press("Enter")
    say(alice, "and another")
    expect_tick(alice, "half a thought", "Waiting for the server")
    expect(field(bob)).to_have_value("half a sen")
    roles.start_api()
    roles.start_worker()
    for page in two:
        page.evaluate("dispatchEvent(new Event('online'))")  # nobody waits out a pause

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


def test_message_waits_for_a_worker_and_one_that_was_refused_for_a_retry(
    open_page: Open, roles: Roles, complaints: list[str]
) -> None:
    # Given no worker, and an API that takes few words only
    roles.chatq.close()
    api = roles.start_api(env={"CHATQ_MAX_CONTENT_BYTES": "10"})
    page = open_page(user="alice", conversation="c")
    expect_live(page)
    say(page, "patience")
    expect_tick(page, "patience", "Queued")
    # It cannot be edited yet, and what was said before it is not meant
    field(page).press("ArrowUp")
    expect(page.get_by_role("alert").get_by_text("not saved yet")).to_be_visible()
    expect(field(page)).to_be_focused()
    say(page, "more than ten bytes")
    expect(message(page, "more than ten bytes").locator(".reason")).to_contain_text("at most 10")
    # When there is a worker
    roles.start_worker()
    expect_tick(page, "patience", "Sent")
    # And when the operator has had mercy
    api.terminate()
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    roles.start_api()
    page.evaluate("dispatchEvent(new Event('online'))")  # nobody waits out a pause
    expect_live(page)
    page.get_by_role("button", name="Retry").click()
    expect_tick(page, "more than ten bytes", "Sent")
    expect(page.locator(".reason")).to_have_count(0)
    assert texts(page) == ["patience", "more than ten bytes"]
    complaints.clear()


def test_deletion_that_fails_later_is_told_and_the_message_looks_as_before(
    open_page: Open, roles: Roles, valkey: Valkey, complaints: list[str]
) -> None:
    page = open_page(user="alice", conversation="d")
    expect_live(page)
    say(page, "to stay")
    expect_tick(page, "to stay", "Sent")
    # Given a deletion that is accepted, and cancelled by an operator before a worker has it
    roles.chatq.close()
    expect(page.get_by_role("status")).to_have_text("Reconnecting…")
    roles.start_api()
    page.evaluate("dispatchEvent(new Event('online'))")  # nobody waits out a pause
    expect_live(page)
    message(page, "to stay").hover()
    message(page, "to stay").locator(".more").click()
    page.get_by_role("menuitem", name="Delete").click()
    with page.expect_response(lambda response: response.request.method == "DELETE") as response:
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".going")).to_have_count(1)
    with redis.from_url(valkey.url) as operator:
        operator.hset(f"rq:job:{response.value.json()['jobId']}", "status", "canceled")
    expect(
        page.get_by_role("alert").get_by_text("The message could not be deleted: somebody has cancelled it")
    ).to_be_visible()
    expect(page.locator(".going")).to_have_count(0)
    expect_texts(page, ["to stay"])
    assert all_of_the_browser(complaints), complaints
    complaints.clear()
