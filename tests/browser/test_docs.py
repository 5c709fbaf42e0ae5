"""The page to read and try the interface, and those that explain the codes of errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Check, Open
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, beside, fresh

LOOKS = pytest.mark.parametrize(
    ("width", "dark"), [(1300, False), (360, True)], ids=["wide and light", "narrow and dark"]
)


def open_docs(open_page: Open, **how: object) -> Page:
    page: Page = open_page(path="/docs", **how)
    expect(page.locator("article#getJob")).to_be_visible()
    return page


def test_a_request_is_tried(open_page: Open, roles: Roles) -> None:
    page, room = open_docs(open_page), fresh()
    page.get_by_label("Your user id").fill("alice")
    page.get_by_role("button", name="Use it").click()
    operation = page.locator("article#sendMessage")
    operation.get_by_text("Try it").click()
    message = {"conversationId": room, "messageData": {"content": "it's tried"}}
    operation.get_by_label("Body").fill(json.dumps(message))
    # The command says the same, fit for a shell.
    command = operation.get_by_label("curl command of sendMessage")
    expect(command).to_contain_text("-H 'X-Chatq-User: alice'")
    expect(command).to_contain_text("--data-raw '{")
    expect(command).to_contain_text("it'\\''s tried")

    operation.get_by_role("button", name="Send POST request").click()

    expect(operation.get_by_role("status")).to_contain_text("202")
    sent = json.loads(operation.get_by_label("Body of the answer").inner_text())
    # And the next thing to ask is after that message.
    after = page.locator("article#getMessage")
    after.get_by_text("Try it").click()
    expect(after.get_by_label("messageId")).to_have_value(sent["messageId"])
    after.get_by_role("button", name="Send GET request").click()
    expect(after.get_by_role("status")).to_contain_text("200")


def test_a_refusal_leads_to_its_explanation(open_page: Open, complaints: list[str]) -> None:
    page = open_docs(open_page)
    operation = page.locator("article#getMessage")
    operation.get_by_text("Try it").click()

    operation.get_by_role("button", name="Send GET request").click()

    link = operation.get_by_role("status").get_by_role("link")
    expect(link).to_have_attribute("href", "/problems/unknown-message")
    link.click()
    expect(page.get_by_role("heading", name="Unknown message")).to_be_visible()
    complaints.clear()  # the browser speaks of each 404


def test_a_frame_is_tried(open_page: Open) -> None:
    page = open_docs(open_page)
    console = page.locator("form.console")
    console.get_by_role("button", name="Connect").click()
    expect(console.get_by_role("log")).to_contain_text('"type":"hello"')

    for kind, answer in (("auth", "authenticated"), ("join", "joined"), ("ping", "pong")):
        console.get_by_label("Type of frame").select_option(kind)
        console.get_by_role("button", name="Send frame").click()
        expect(console.get_by_role("log")).to_contain_text(f'"type":"{answer}"')

    console.get_by_role("button", name="Disconnect").click()
    expect(console.get_by_role("log")).to_contain_text("closed with")


def test_a_link_leads_to_its_part_or_does_no_harm(open_page: Open, roles: Roles) -> None:
    links = {"topic.Documents%20and%20pages": "Documents and pages", "100%": "The interface of chatq"}
    for fragment, part in links.items():
        page = open_docs(open_page)
        page.goto("about:blank")
        page.goto(f"{roles.url}/docs#{fragment}")
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_in_viewport()
        expect(page.locator("#fault")).to_be_hidden()


def test_the_contents_are_there_on_a_window_of_any_width(open_page: Open) -> None:
    page = open_docs(open_page, width=360)
    contents = page.get_by_role("link", name="Send a message", exact=True)
    expect(contents).to_be_hidden()

    page.set_viewport_size({"width": 1300, "height": 800})
    expect(contents).to_be_visible()

    page.set_viewport_size({"width": 360, "height": 800})
    expect(contents).to_be_hidden()
    page.locator("summary", has_text="Contents").click()
    expect(contents).to_be_visible()
    # And they make way for what was asked for.
    contents.click()
    expect(contents).to_be_hidden()
    expect(page.locator("article#sendMessage")).to_be_in_viewport()


@LOOKS
def test_everybody_can_read_it(open_page: Open, check_accessibility: Check, width: int, dark: bool) -> None:
    page = open_docs(open_page, width=width, dark=dark)
    for each in page.locator("summary").all():
        if each.is_visible() and each.inner_text() != "Contents":
            each.click()
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@LOOKS
@pytest.mark.parametrize("path", ["/problems", "/problems/rate-limited"])
def test_everybody_can_read_of_problems(
    open_page: Open, check_accessibility: Check, path: str, width: int, dark: bool
) -> None:
    page = open_page(width, path=path, dark=dark)
    check_accessibility(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture
def guarded(shared_roles: Roles) -> Iterator[Roles]:
    """An API that asks for tokens."""
    with beside(shared_roles, env={"CHATQ_JWT_SECRET": SECRET}) as guarded:
        yield guarded


def test_it_is_tried_with_a_token(open_page: Open, guarded: Roles) -> None:
    page = open_docs(open_page)
    page.goto(f"{guarded.url}/docs")
    page.get_by_label("Your token").fill(Person(guarded, "alice").proof["token"])
    page.get_by_role("button", name="Use it").click()
    operation = page.locator("article#listConversations")
    operation.get_by_text("Try it").click()
    # A token is not shown.
    expect(operation.get_by_label("curl command")).to_contain_text("Bearer $TOKEN")

    operation.get_by_role("button", name="Send GET request").click()

    expect(operation.get_by_role("status")).to_contain_text("200")
    # Nor is it taken for a user's id, after a reload neither
    page.reload()
    console = page.locator("form.console")
    console.get_by_role("button", name="Connect").click()
    expect(console.get_by_label("Type of frame")).to_have_value("auth")
    console.get_by_role("button", name="Send frame").click()
    expect(console.get_by_role("log")).to_contain_text('"type":"authenticated","userId":"alice"')
