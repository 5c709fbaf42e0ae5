"""What a run gives: one document, which a later run can be compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from chatq.domain.wire import decode
from chatq.errors import BadUsage, InvalidFields, RequestRefused


class Document(msgspec.Struct, rename="camel"):
    """A part of the document. Unlike requests, it may have fields that only another version of chatq knows."""


class Latency(Document):
    """How long something took: half of all times, and 99 of 100, are at most this."""

    p50_ms: float
    p99_ms: float


class Section(Document):
    """One thing that was measured."""

    messages: int
    seconds: float
    rate: float
    """``unit`` in a second."""
    stages: dict[str, Latency]
    """``accept``: POST to 202. ``stored``: accepted to persisted. ``delivered``: persisted to the websocket.
    ``total``: POST to the websocket. The two in the middle go by times in milliseconds that chatq gives."""
    unit: Literal["messages", "deliveries"] = "messages"


class Machine(Document):
    """What it was measured on."""

    system: str
    cpu: str
    cores: int
    memory_bytes: int
    python: str


class Installation(Document):
    """What was measured."""

    redis: str
    """Server, version, and how it writes to its disk."""
    redis_url: str
    database: str
    """Server, version, and how it writes to its disk."""
    database_url: str
    durability: str
    lanes: int
    api_workers: int
    other_workers: int
    """How many workers of the installation were at work beside the run's own."""


class ComparedFigure(Document):
    """A figure of two runs."""

    name: str
    unit: str
    before: float
    now: float
    ratio: float | None
    """``now / before``; None if that was 0."""
    better: Literal["now", "before", "neither"]


class Comparison(Document):
    """Two runs."""

    version: str
    """Of the earlier run."""
    date: str
    differences: list[str]
    """What else differs between the two, so that the figures may differ for that reason."""
    figures: list[ComparedFigure]


class Report(Document):
    """Everything about one run."""

    version: str
    date: str
    run_id: str
    messages: int
    """The size that was asked for."""
    machine: Machine
    installation: Installation
    notes: list[str]
    """What to know when reading the figures."""
    figures: dict[str, Section]
    comparison: Comparison | UnsetType = UNSET


TITLES = {
    "accept": "POST over 32 connections, no worker",
    "enqueue": "jobs without HTTP, 1,000 at a time",
    "drain": "queued jobs by one worker process",
    "endToEnd": "POST to websocket, 32 connections",
    "paced": "POST to websocket, 100 a second",
    "fanOut": "one conversation, 200 websockets",
}
"""What each section measures, for people; in the order of the run."""


def read_report(path: Path) -> Report:
    """Return the report that a file holds.

    Raises:
        BadUsage: it cannot be read, or holds something else.
    """
    try:
        return decode(path.read_bytes(), Report)
    except OSError as error:
        raise BadUsage(f"--compare {path}: {error.strerror}.") from None
    except InvalidFields as error:
        first = error.problems[0]
        what = f"{first.field} {first.problem}".strip()
        raise BadUsage(f"--compare {path}: this is no document of `chatq bench --json`: {what}.") from None
    except RequestRefused as error:
        raise BadUsage(f"--compare {path}: this is no document of `chatq bench --json`: {error.detail}") from None


def latency(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of some times, by nearest rank."""
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 3)

    return Latency(p50_ms=rank(0.50), p99_ms=rank(0.99))
