"""Two reports, figure by figure."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from chatq.ops.bench.report import ComparedFigure, Comparison, Installation, Machine, Report

_PLACES = ("redis_url", "database_url")
"""Where the servers are says nothing about their speed."""
EQUAL = 0.005
"""A ratio as near as this to 1 makes neither the better: people see it as 1.00."""


class Figure(NamedTuple):
    """One number of a report."""

    name: str
    value: float
    unit: str
    higher_is_better: bool


def figures(report: Report) -> list[Figure]:
    """Return every number that was measured."""
    found = []
    for name, section in report.figures.items():
        found.append(Figure(f"{name} rate", section.rate, f"{section.unit}/s", higher_is_better=True))
        for stage, latency in section.stages.items():
            found.append(Figure(f"{name} {stage} p50", latency.p50_ms, "ms", higher_is_better=False))
            found.append(Figure(f"{name} {stage} p99", latency.p99_ms, "ms", higher_is_better=False))
    return found


def compare(now: Report, before: Report) -> Comparison:
    """Return the figures that both reports have, side by side."""
    earlier = {figure.name: figure for figure in figures(before)}
    return Comparison(
        version=before.version,
        date=before.date,
        differences=_differences(now, before),
        figures=[_compared(figure, earlier[figure.name]) for figure in figures(now) if figure.name in earlier],
    )


def _compared(now: Figure, before: Figure) -> ComparedFigure:
    ratio = now.value / before.value if before.value else None
    return ComparedFigure(
        name=now.name,
        unit=now.unit,
        before=before.value,
        now=now.value,
        ratio=None if ratio is None else round(ratio, 4),
        better=_better(now, before, ratio),
    )


def _better(now: Figure, before: Figure, ratio: float | None) -> Literal["now", "before", "neither"]:
    if now.value == before.value or (ratio is not None and abs(ratio - 1) < EQUAL):
        return "neither"
    return "now" if (now.value > before.value) == now.higher_is_better else "before"


def _differences(now: Report, before: Report) -> list[str]:
    pairs: list[tuple[Machine | Installation, Machine | Installation]] = [
        (now.machine, before.machine),
        (now.installation, before.installation),
    ]
    found = [] if now.messages == before.messages else [f"messages: {before.messages} before, {now.messages} now"]
    for new, old in pairs:
        was = msgspec.structs.asdict(old)
        for name, value in msgspec.structs.asdict(new).items():
            if name not in _PLACES and value != was[name]:
                found.append(f"{name.replace('_', ' ')}: {was[name]} before, {value} now")
    return found
