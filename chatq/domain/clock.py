"""Times as chatq writes them: RFC 3339, UTC, milliseconds, always 24 characters.

They stay text inside chatq: text of this form sorts like the times it names, goes into both databases and
onto the wire without conversion, and compares equal after a round trip.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def timestamp(seconds: float | None = None) -> str:
    """Return a time, given in seconds since the epoch (by default now), e.g. ``2026-01-02T03:04:05.678Z``."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return render(moment)


def render(moment: datetime) -> str:
    """Return an aware ``datetime`` as text; digits below milliseconds are cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def seconds(text: str) -> float:
    """Return the seconds since the epoch that ``text``, an RFC 3339 time with an offset, names.

    Raises:
        ValueError: ``text`` is no such time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no offset from UTC in {text!r}")
    return moment.timestamp()


def normal(text: str) -> str:
    """Return an RFC 3339 time with any offset and any precision in chatq's own form.

    Raises:
        ValueError: ``text`` is no such time.
    """
    return timestamp(seconds(text))


def is_time(text: str) -> bool:
    """Tell whether ``text`` is an RFC 3339 time with an offset that chatq can store."""
    try:
        normal(text)
    except (ValueError, OverflowError, OSError):
        return False
    return True
