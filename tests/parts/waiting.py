"""Waiting for what another process does: for the thing itself, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long anything may take on a machine that has much else to do: no test is quicker for a shorter one."""
PATIENCE_MS = PATIENCE_SECONDS * 1000
"""The same as Playwright counts."""


def until(condition: Callable[[], T], seconds: float = PATIENCE_SECONDS, what: str = "") -> T:
    """Return the first true value that ``condition`` gives; fail if there is none within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}; the last answer was {value!r}")
        time.sleep(0.01)
    return value
