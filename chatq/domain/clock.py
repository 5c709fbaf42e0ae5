"""Times as chatq writes them: RFC 3339, UTC, milliseconds, always 24 characters.

They stay text inside chatq: text of this form sorts like the times it names, goes into both databases and
onto the wire without conversion, and compares equal after a round trip.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import lru_cache

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)

# Times that need no look at a calendar: of years that every database holds, on days that every month has.
_OWN_FORM = re.compile(
    r"[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z\Z", re.ASCII
)


def timestamp(seconds: float | None = None) -> str:
    """Return a time, given in seconds since the epoch (by default now), e.g. ``2026-01-02T03:04:05.678Z``."""
    if seconds is not None:
        return render(datetime.fromtimestamp(seconds, UTC))
    second, nanos = divmod(time.time_ns(), 1_000_000_000)
    return f"{_to_the_second(second)}.{nanos // 1_000_000:03d}Z"


@lru_cache(maxsize=2)
def _to_the_second(second: int) -> str:
    """Return the start of all times within a second; asked for very often, so kept."""
    return render(datetime.fromtimestamp(second, UTC))[:19]


def render(moment: datetime) -> str:
    """Return an aware ``datetime`` as text; digits below milliseconds are cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def moment(text: str) -> datetime:
    """Return the moment that ``text``, an RFC 3339 time with an offset, names.

    Raises:
        ValueError: ``text`` is no such time, or not within the years 1 to 9999 of UTC.
    """
    if not _RFC_3339.match(text):
        raise ValueError(f"{text!r} is no RFC 3339 time with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not within the years 1 to 9999 of UTC") from None


def seconds(text: str) -> float:
    """Return the seconds since the epoch that ``text``, an RFC 3339 time with an offset, names.

    Raises:
        ValueError: ``text`` is no such time.
    """
    return moment(text).timestamp()


def normal(text: str) -> str:
    """Return an RFC 3339 time with any offset and any precision in chatq's own form.

    Raises:
        ValueError: ``text`` is no such time.
    """
    if _OWN_FORM.match(text):
        return text
    return render(moment(text))


def is_time(text: str) -> bool:
    """Tell whether ``text`` is an RFC 3339 time with an offset that chatq can store."""
    try:
        normal(text)
    except ValueError:
        return False
    return True
