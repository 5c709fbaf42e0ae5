"""Times on the wire."""

from __future__ import annotations

import pytest

from chatq.domain.clock import is_time, normal, seconds, timestamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02T03:04:05.6789Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T00:04:05.1+03:30", "2026-01-01T20:34:05.100Z"),
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05.000Z"),
        ("2026-01-02 03:04:05-00:00", "2026-01-02T03:04:05.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.123Z", "9999-12-31T23:59:59.123Z"),
    ],
)
def test_a_time_gets_the_one_form(text: str, expected: str) -> None:
    assert normal(text) == expected
    assert normal(expected) == expected
    assert is_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "20260102T030405Z",
        "2026-W01-1T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05Z\n",
        "\u0662026-01-02T03:04:05Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert not is_time(text)
    for read in (normal, seconds):
        with pytest.raises(ValueError, match=r"."):
            read(text)


def test_a_timestamp_is_in_the_one_form() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1_700_000_000.1239) == "2023-11-14T22:13:20.123Z"
    now = timestamp()
    assert normal(now) == now
