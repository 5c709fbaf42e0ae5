"""Pages of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a conversation's messages, oldest first."""

    messages: list[dict[str, Any]]
    next_before: int | None
    next_after: int | None
    seq: int
    """The event number at which the page is true, and after which to join."""


def page_path(conversation_id: str, numbers: dict[str, int | None]) -> str:
    """Return where a page is found."""
    query = urlencode({name: number for name, number in numbers.items() if number is not None})
    return f"conversations/{quote(conversation_id, safe='')}/messages?{query}"


def to_page(document: dict[str, Any]) -> Page:
    """Return what the server said as a page."""
    return Page(document["messages"], document["nextBefore"], document["nextAfter"], document["seq"])
