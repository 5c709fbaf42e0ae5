"""What is printed, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.benchmarks.measure import Measure, Result, Row

HEAD = ("benchmark", "chatq", "the other", "ratio (lowest … highest pair)", "target", "met")


def table(machine: dict[str, str], results: Sequence[Result], scale: float) -> str:
    """Return all measures as a Markdown table, after a line about the machine."""
    lines = ["Machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    if scale != 1:
        lines += [f"At {scale:g} of the full size: these figures show only that the benchmarks work.", ""]
    lines += [_line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line(_cells(result, row)) for result in results for row in result.rows()]
    return "\n".join(lines)


def to_json(machine: dict[str, str], results: Sequence[Result], scale: float) -> str:
    """Return every run's figures as a JSON document."""
    return json.dumps({"machine": machine, "scale": scale, "benchmarks": [_document(r) for r in results]}, indent=2)


def _document(result: Result) -> dict[str, object]:
    benchmark = result.benchmark
    rows = [
        {
            "measure": row.measure.key,
            "unit": row.measure.unit,
            "figures": row.figures,
            "value": row.value,
            "ratios": row.ratios,
            "atLeast": row.measure.at_least,
            "atMost": row.measure.at_most,
            "met": row.met,
        }
        for row in result.rows()
    ]
    return {"name": benchmark.name, "title": benchmark.title, "sides": benchmark.sides, "rows": rows} | {
        "runs": [list(map(dict, sides)) for sides in result.rounds]
    }


def _cells(result: Result, row: Row) -> list[str]:
    benchmark, measure = result.benchmark, row.measure
    title = f"`{benchmark.name}` {benchmark.title}"
    if len(benchmark.measures) > 1:
        title += f": {measure.key}"
    figures = [f"{_number(figure)} {measure.unit}" for figure in row.figures]
    if benchmark.sides[0] != "chatq":
        figures[0] = f"{benchmark.sides[0]}: {figures[0]}"
    if len(benchmark.sides) == 1:
        return [title, *figures, "-", "-", _target(measure, measure.unit), "yes" if row.met else "NO"]
    ratio = f"{row.value:.2f} ({min(row.ratios):.2f} … {max(row.ratios):.2f})"
    other = f"{benchmark.sides[1]}: {figures[1]}"
    target = _target(measure, "x" if measure.of_ratio else measure.unit)
    return [title, figures[0], other, ratio, target, "yes" if row.met else "NO"]


def _target(measure: Measure, unit: str) -> str:
    if measure.at_least is not None:
        return f"at least {measure.at_least:g} {unit}"
    return "-" if measure.at_most is None else f"at most {measure.at_most:g} {unit}"


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
