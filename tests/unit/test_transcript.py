"""A conversation as people read it: what stands where on terminals of any width, and in which colours."""

from __future__ import annotations

import io
import time
import unicodedata
from datetime import UTC, date, datetime

import pytest
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console

from chatq.cli.terminal import find_acting, visible
from chatq.cli.transcript import PALETTE, Transcript
from chatq.domain.clock import render
from chatq.domain.events import Event, MessageDeleted, MessageEdited, NewMessage, to_payload
from chatq.domain.messages import Message

NOON = datetime(2026, 11, 24, 12).astimezone()


def message(sender: str, content: str | None, when: datetime = NOON) -> Message:
    at = render(when.astimezone(UTC))
    return Message(
        id="m",
        conversation_id="general",
        seq=1,
        sender_id=sender,
        client_message_id=None,
        content=content,
        metadata=None,
        status="sent",
        created_at=at,
        persisted_at=at,
        edited_at=None,
        deleted_at=None if content is not None else at,
    )


def shown(*messages: Message, width: int) -> list[str]:
    """Return the lines of messages on a terminal without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    Transcript(console, lambda _ids: {}, NOON.date()).messages(messages)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [1, 5, 10, 20, 37, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    words = "日本語 " * 30 + "x" * 300 + " \x1b[2J end"
    lines = shown(message("alice", words), message("n" * 128, words), width=width)
    # Only what has two cells cannot be shown on one.
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join(lines).replace(" ", "").count("x" * 300) == 2 or width < 20
    assert "".join(lines).replace(" ", "").count("日") == 60


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
def test_times_at_the_ends_of_the_calendar_are_shown(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        lines = shown(message("alice", "of old", first), message("alice", "to come", last), width=80)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [line.partition("  ")[2] for line in lines if "alice" in line] == ["alice  of old", "alice  to come"]


def test_names_of_a_usual_length_make_a_column() -> None:
    lines = shown(
        message("al", "one"), message("robert", "two"), message("al", "three"), message("n" * 20, "four"), width=80
    )
    assert lines == [
        "12:00:00  al  one",
        "12:00:00  robert  two",
        "12:00:00  al      three",
        f"12:00:00  {'n' * 20}  four",
    ]


def test_another_day_is_announced() -> None:
    yesterday = NOON.replace(day=23)
    lines = shown(message("a", "1"), message("a", "2", yesterday), message("a", "3", yesterday), width=40)
    assert lines == [
        "12:00:00  a  1",
        "────────── Monday 2026-11-23 ───────────",
        "12:00:00  a  2",
        "12:00:00  a  3",
    ]


def test_nobody_can_write_what_looks_like_a_line_of_ours() -> None:
    forged = "hi\n12:00:00  bob  I agree\n12:00:00  * deleted  bob\n──── Monday ────\r13:00:00  x"
    for width in (30, 80):
        first, *others = shown(message("alice", forged), width=width)
        assert first.startswith("12:00:00  alice")
        assert all(line.startswith("      ") for line in others)


def test_events_name_the_message_that_they_change() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    gone = message("bob", None, NOON.replace(day=23))
    gone.deleted_at = render(NOON.astimezone(UTC))
    edited = message("al", "new")
    edited.edited_at = edited.created_at
    events: list[Event] = [
        NewMessage(conversation_id="general", seq=1, message=message("al", None)),
        MessageEdited(conversation_id="general", seq=2, message=edited),
        MessageEdited(conversation_id="general", seq=2, message=message("al", None)),
        MessageDeleted(conversation_id="general", seq=3, message_id="known"),
        MessageDeleted(conversation_id="general", seq=4, message_id="unknown"),
    ]
    Transcript(console, lambda _ids: {"known": gone}, NOON.date()).events([to_payload(event) for event in events])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "12:00:00  * deleted  al",
        "12:00:00  * edited  al 12:00:00  new",
        "12:00:00  * edited  al 12:00:00",
        "12:00:00  * deleted  bob 2026-11-23 12:00:00",
        "          * deleted  unknown",
    ]


@pytest.mark.parametrize("number", PALETTE)
def test_names_can_be_read_on_black_and_on_white(number: int) -> None:
    # The contrast that https://www.w3.org/TR/WCAG22/#contrast-minimum asks of large text, and a little more
    luminance = sum(
        weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
        for weight, c in zip((0.2126, 0.7152, 0.0722), Color.from_ansi(number).get_truecolor().normalized, strict=True)
    )
    assert (luminance + 0.05) / 0.05 >= 3.5
    assert 1.05 / (luminance + 0.05) >= 3.5


def acting(text: str) -> set[str]:
    """Return the characters of a text that are escaped."""
    return {found.group() for found in find_acting(text)}


IGNORABLE = (
    "00AD 034F 061C 115F-1160 17B4-17B5 180B-180F 200B-200F 202A-202E 2060-206F 3164 FE00-FE0F FEFF FFA0 FFF0-FFF8 "
    "1BCA0-1BCA3 1D173-1D17A E0000-E0FFF"
)
"""``Default_Ignorable_Code_Point`` in https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt"""


def test_whatever_does_something_to_a_terminal_or_hides_is_escaped() -> None:
    everything = "".join(map(chr, range(0x110000)))
    controls = {c for c in everything if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} - {"\t", "\n"}
    turning = {c for c in everything if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF"}}
    isolating = {c for c in everything if unicodedata.bidirectional(c) in {"LRI", "RLI", "FSI", "PDI"}}
    ends = [[int(end, 16) for end in part.split("-")] for part in IGNORABLE.split()]
    hiding = {chr(code) for first, *last in ends for code in range(first, (last or [first])[0] + 1)}
    assert controls | turning | isolating | hiding <= acting(" ".join(everything))
    # And all else that is written is not
    written = {c for c in everything if unicodedata.category(c)[0] in "LMNPS" or c == " "} - hiding
    assert not written & acting(" ".join(everything))
    assert visible("a\x1b[1mb\n\tc\u202e") == "a\\x1b[1mb\n\tc\\u202e"


@pytest.mark.parametrize(
    "text",
    [
        "👩🏽\u200d🚀 👨\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 🇳🇿 1\ufe0f\u20e3 ☎\ufe0e",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "ക്\u200d ක්\u200dර",
        "ᠠ\u180b 葛\U000e0100 㐂\ufe00",
    ],
    ids=["emoji", "flag", "Persian", "Indic", "variants"],
)
def test_what_emoji_and_scripts_need_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass\u00adword", "pass\\xadword"),
        ("\u3164\u115f", "\\u3164\\u115f"),
        ("a\u200db\u200cc", "a\\u200db\\u200cc"),
        ("a\ufe0f", "a\\ufe0f"),
        ("👩\u200d\u200d", "👩\\u200d\\u200d"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f\\ufe0f"),
        ("🏴\U000e0068\U000e0069\U000e007f", "🏴\\U000e0068\\U000e0069\\U000e007f"),
        ("葛\U000e0100\U000e0101", "葛\U000e0100\\U000e0101"),
    ],
)
def test_what_hides_where_nothing_needs_it_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_no_day_is_announced_before_the_first_line_of_today() -> None:
    console = Console(file=io.StringIO(), width=80)
    Transcript(console, lambda _ids: {}, date(2026, 11, 24)).messages([message("a", "1")])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "12:00:00  a  1\n"
