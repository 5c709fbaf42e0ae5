"""One thing that a check looked at, and what it thinks of it."""

from __future__ import annotations

from enum import StrEnum

from chatq.domain.wire import Wire


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    """It works, but less well or less safely than it could."""
    PROBLEM = "problem"
    """chatq cannot keep its promises here."""


class Finding(Wire):
    """What was looked at, what was seen, and, unless all is well, why that matters and what to do."""

    check: str
    """Stable name, for scripts."""
    level: Level
    value: str
    """What was seen, for people."""
    cause: str | None = None
    remedy: str | None = None
