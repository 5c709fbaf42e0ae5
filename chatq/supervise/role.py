"""A process as planned: how it is started, when it counts as ready, and how it is ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import chatq

HANDLER_GRACE = 190.0
"""Grace of a process that runs handlers: a handler in hand is finished, and may take RQ's default of 180 s."""


@dataclass(frozen=True, slots=True)
class Role:
    """One process of those that are supervised together."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """What is added to the supervisor's own."""
    rank: int = 0
    """Place in the order of stopping: the lowest rank is ended first, and has ended before the next is."""
    grace: float = 10.0
    """Seconds from SIGTERM to SIGKILL."""
    once: bool = False
    """It has to end with 0 before the next role is started."""
    may_end: bool = False
    """Ending with 0 is no fault, and is only reported."""
    timeout: float | None = None
    """Seconds without a sign of life (see :mod:`chatq.supervise.heartbeat`) after which it counts as hung: it is
    killed and replaced. None: it gives no such signs."""
    whole_group: bool = False
    """SIGTERM goes to all the processes that it started too, not to it alone."""
    ready: Callable[[], bool] | None = None
    """Asked again and again, without waiting; the next role is started when it has said True. May raise
    ChatqError: then all ends with that."""
    ready_says: str = ""
    """What people are told when it is ready."""


def chatq_command(*arguments: str) -> tuple[str, ...]:
    """Return the command line of ``chatq`` with ``arguments``.

    The current directory is kept off its import path, where a file ``queue.py`` would replace Python's;
    unless that is where chatq itself lies.
    """
    import_root = Path(chatq.__path__[0]).parent
    isolated = () if import_root == Path.cwd() else ("-P",)
    return (sys.executable, *isolated, "-m", "chatq", *arguments)
