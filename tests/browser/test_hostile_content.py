"""Content that means harm: it is shown as what it is, in its own place, and changes nothing else."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.talking import expect_live, expect_texts, expect_tick, field, message, messages, say, texts
from tests.parts.roles import Roles, fresh

MARKUP = (
    "<img src=x onerror=alert(1)><b>bold</b>\n<script>alert(2)</script><a href='javascript:alert(3)'>x</a>&lt;&amp;"
)
OVERRIDE, ISOLATE = "\u202e", "\u2067"

CONTENTS = {
    "markup": MARKUP,
    "right to left": "שלום עולם, مرحبا بالعالم",
    "turned around": f"{OVERRIDE}txt.exe{OVERRIDE * 50} open me",
    "isolates that never end": f"{ISOLATE * 60}before\u2066\u202d\u202b after",
    "zero width": "a\u200bd\u200cm\u200di\u2060n\ufeff\u00ad",
    "nothing to be seen": "\u200b\u2060\u2800\u3164",
    "emoji sequences": "👩🏽\u200d🚀 👨\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇳🇿 1\ufe0f\u20e3 " + "👍🏿" * 40,
    "combining marks": "Z" + "\u0336\u0321\u0310\u0352" * 400 + "algo",
    "one long word": "W" * 16_384,
    "many lines": "\n" * 8_000 + "end",
    "16 KB of emoji": "👩🏽\u200d🚀" * 1_092,
    "controls": "\x01\x07\x1b[31m\x7f\x85\u2028\u2029 and on",
    "an address": "https://example.com/<script>?q=\u202egpj.exe javascript:alert(1)",
}


def test_content_is_shown_as_it_is_and_stays_in_its_place(open_page: Open) -> None:
    room = fresh()
    wide, narrow = open_page(user="alice", conversation=room), open_page(320, 640, user="bob", conversation=room)
    for page in (wide, narrow):
        page.on("dialog", lambda _: pytest.fail("a script ran"))
        expect_live(page)
    for content in CONTENTS.values():
        # As if pasted: a browser takes many seconds to type thousands of lines.
        field(wide).evaluate("(field, content) => (field.value = content)", content)
        wide.keyboard.press("Enter")
        expect_tick_of_last(wide, "Read")
    for page in (wide, narrow):
        assert texts(page) == list(CONTENTS.values())
        check_whole(page)


def expect_tick_of_last(page: Page, state: str) -> None:
    expect(messages(page).last.locator(".tick")).to_have_attribute("aria-label", state)


def check_whole(page: Page) -> None:
    """Check that content made no elements, that nothing is wider than the window, and that all else is as ever."""
    assert page.locator(".text *, .last bdi *").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#scroll").evaluate("(scroll) => scroll.scrollWidth <= scroll.clientWidth")
    # What an override turns around is its own text: the time stands at the end, within the bubble, in its usual form.
    places = page.locator(".message").evaluate_all(
        """(all) => all.map((message) => {
          const box = (part) => message.querySelector(part).getBoundingClientRect();
          const [bubble, text, time] = [box(".bubble"), box(".text"), box(".time")];
          const turned = getComputedStyle(message.querySelector(".body")).direction === "rtl";
          return {
            inside: bubble.left >= 0 && bubble.right <= innerWidth && text.right <= bubble.right,
            atItsEnd: turned ? time.left - bubble.left < 60 : bubble.right - time.right < 60,
            asHighAsEver: time.height < 30 && bubble.bottom - time.bottom < 20,
          };
        })"""
    )
    assert all(all(place.values()) for place in places), places
    assert all(re.fullmatch(r"\d\d:\d\d( [AP]M)?", text) for text in page.locator(".time").all_text_contents())


def test_title_of_a_conversation_is_text_too(open_page: Open, roles: Roles) -> None:
    title = f"<b>{OVERRIDE}evil</b>{' and on' * 20}"
    answer = roles.http.post(
        "/api/conversations", json={"title": title, "members": ["bob"]}, headers={"X-Chatq-User": "alice"}
    )
    room = answer.json()["id"]
    page = open_page(user="bob", conversation=room)
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(f".conversation[data-id='{room}'] .name")).to_have_text(title)
    assert page.locator("h1 *, .conversation .name *").count() == 0
    assert "<b>" in page.evaluate("document.title")
    # Nor does it make the field higher in which one writes
    expect(field(page)).to_have_attribute("placeholder", f"Message {title}")
    assert field(page).evaluate("(field) => field.offsetHeight") < 60


def test_hostile_content_can_be_edited_and_deleted(open_page: Open) -> None:
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    say(page, MARKUP.splitlines()[0])
    expect_tick(page, MARKUP.splitlines()[0], "Sent")
    field(page).press("ArrowUp")
    page.get_by_label("New text of the message").fill(f"{OVERRIDE}{MARKUP}")
    page.keyboard.press("Enter")
    expect_texts(page, [f"{OVERRIDE}{MARKUP}"])
    messages(page).hover()
    expect(messages(page).locator(".edited")).to_be_visible()
    messages(page).locator(".more").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this message?")
    expect(dialog.locator("#erase-what")).to_have_text(f"{OVERRIDE}{MARKUP}")
    assert dialog.locator("#erase-what *").count() == 0
    dialog.get_by_role("button", name="Delete").click()
    expect(message(page, "This message was deleted.")).to_be_visible()


def test_policy_lets_nothing_else_run(open_page: Open, complaints: list[str]) -> None:
    page = open_page(user="alice", conversation=fresh())
    expect_live(page)
    # Given a fault that let somebody put an element into the page
    ran = page.evaluate(
        """async () => {
          const script = document.createElement("script");
          try { script.textContent = "globalThis.ran = true"; } catch { /* not even this */ }
          document.body.append(script);
          try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='globalThis.ran = true'>"); } catch {}
          await fetch("https://example.com/").catch(() => {});
          await new Promise((done) => setTimeout(done, 100));
          return globalThis.ran ?? false;
        }"""
    )
    assert ran is False
    assert any("Content Security Policy" in each or "TrustedHTML" in each for each in complaints), complaints
    complaints.clear()
