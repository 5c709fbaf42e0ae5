"""Questions over HTTP."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from chatq.client.errors import NoAnswer, refusal
from chatq.errors import ChatqError

TIMEOUT = 20.0


def ask(url: str, headers: dict[str, str], method: str, path: str, document: object = None) -> dict[str, Any]:
    """Return the document that the server answers with.

    Raises:
        NoAnswer: the server does not answer.
        ChatqError: it refuses, for the reason that the error names.
    """
    for part in re.split("[/?]", path):
        # A proxy would take them for folders, however they are spelt.
        if part in {".", ".."}:
            raise refusal("invalid-fields", f"{part!r} is an id that no address can name.")
    body = None if document is None else json.dumps(document).encode()
    if body is not None:
        headers = {**headers, "Content-Type": "application/json"}
    address = f"{url}/api/{path}"
    request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310  # the client checked the scheme
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  # see above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise _problem(error) from None
    except (OSError, HTTPException, ValueError) as error:
        raise NoAnswer(f"The server does not answer: {error}") from error


def _problem(error: urllib.error.HTTPError) -> ChatqError:
    try:
        with error:
            document = json.load(error)
        return refusal(document["code"], document["detail"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return ChatqError(f"The server answered {error.code}.")
