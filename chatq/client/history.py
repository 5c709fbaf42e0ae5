"""Pages of the past, over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from chatq.client.errors import NoAnswer, refusal
from chatq.errors import ChatqError

TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a conversation's messages, oldest first."""

    messages: list[dict[str, Any]]
    next_before: int | None
    next_after: int | None
    seq: int
    """The event number at which the page is true, and after which to join."""


def read(url: str, headers: dict[str, str], conversation_id: str, numbers: dict[str, int | None]) -> Page:
    """Return a page of a conversation.

    Raises:
        NoAnswer: the server does not answer.
        ChatqError: it refuses, for the reason that the error names.
    """
    query = urlencode({name: number for name, number in numbers.items() if number is not None})
    address = f"{url}/api/conversations/{quote(conversation_id, safe='')}/messages?{query}"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  # the client checked the scheme
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            document = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise _problem(error.code, error.read()) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"The server does not answer: {error}") from error
    return Page(document["messages"], document["nextBefore"], document["nextAfter"], document["seq"])


def _problem(status: int, body: bytes) -> ChatqError:
    try:
        document = json.loads(body)
        return refusal(document["code"], document["detail"])
    except (ValueError, KeyError, TypeError):
        return ChatqError(f"The server answered {status}.")
