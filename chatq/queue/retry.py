"""How long a job waits before its next attempt."""

from __future__ import annotations

import random

MAX_ATTEMPTS = 5
"""How often a message job is tried in all."""
BASE_SECONDS = 1.0
MAX_SECONDS = 300.0


def backoff(attempt: int) -> float:
    """Return the seconds between attempt number ``attempt`` (1, 2, …) and the next one.

    Exponential: ``BASE_SECONDS * 2**(attempt - 1)``, at most ``MAX_SECONDS``; a random part of the second half is left
    out, so that jobs that failed together do not come back together ("equal jitter": M. Brooker,
    Exponential Backoff and Jitter, 2015).
    """
    whole = min(MAX_SECONDS, BASE_SECONDS * 2.0 ** min(attempt - 1, 30))
    return whole / 2 + random.uniform(0, whole / 2)  # noqa: S311  # spreads load, guards nothing
