"""The figures of ``chatq bench`` for people: tables on a terminal, else a line each."""

from __future__ import annotations

import sys

import typer
from msgspec import UNSET
from rich.table import Table
from rich.text import Text

from chatq.cli.terminal import console
from chatq.ops.bench.comparison import figures
from chatq.ops.bench.report import TITLES, ComparedFigure, Comparison, Report

_VERDICTS = {"now": ("better", "green"), "before": ("worse", "red"), "neither": ("same", "dim")}


def print_report(report: Report) -> None:
    """Print a report to stdout."""
    if sys.stdout.isatty():
        _print_tables(report)
    else:
        _print_lines(report)


def _print_lines(report: Report) -> None:
    for line in _heading(report):
        typer.echo(line)
    for figure in figures(report):
        typer.echo(f"{figure.name}: {_number(figure.value)} {figure.unit}")
    for note in report.notes:
        typer.echo(f"note: {note}")
    if report.comparison is not UNSET:
        typer.echo(_compared_with(report.comparison))
        for difference in report.comparison.differences:
            typer.echo(f"difference: {difference}")
        for row in report.comparison.figures:
            verdict = _VERDICTS[row.better][0]
            typer.echo(
                f"compared {row.name}: {_number(row.before)} before, {_number(row.now)} {row.unit} now, "
                f"ratio {_ratio(row)}, {verdict}"
            )


def _print_tables(report: Report) -> None:
    shown = console()
    for line in _heading(report):
        shown.print(line, style="dim", markup=False)
    shown.print(_table(report))
    for note in report.notes:
        shown.print(f"Note: {note}", style="yellow", markup=False)
    if report.comparison is not UNSET:
        shown.print()
        shown.print(_comparison_table(report.comparison))
        for difference in report.comparison.differences:
            shown.print(f"Not the same: {difference}", style="yellow", markup=False)


def _heading(report: Report) -> list[str]:
    machine, installation = report.machine, report.installation
    memory = f"{machine.memory_bytes / 2**30:.1f} GiB"
    return [
        f"chatq {report.version}, {report.date}, {report.messages} messages",
        f"machine: {machine.cpu}, {machine.cores} cores, {memory}, Python {machine.python}, {machine.system}",
        f"redis: {installation.redis}; durability {installation.durability}",
        f"database: {installation.database}",
        f"lanes: {installation.lanes}; API processes: {installation.api_workers}",
    ]


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("a second", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for name, section in report.figures.items():
        title = Text(name, "bold").append(f"  {TITLES.get(name, '')}", "dim")
        table.add_row(title, Text(f"{_number(section.rate)} {section.unit}", "bold"))
        for stage, latency in section.stages.items():
            table.add_row(f"  {stage}", "", _number(latency.p50_ms), _number(latency.p99_ms))
    return table


def _comparison_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, title=_compared_with(comparison), title_justify="left")
    table.add_column("")
    for heading in ("before", "now", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in comparison.figures:
        verdict, colour = _VERDICTS[row.better]
        now = f"{_number(row.now)} {row.unit}"
        table.add_row(row.name, _number(row.before), now, _ratio(row), Text(verdict, colour))
    return table


def _compared_with(comparison: Comparison) -> str:
    return f"compared with chatq {comparison.version}, {comparison.date}"


def _ratio(row: ComparedFigure) -> str:
    return "-" if row.ratio is None else f"{row.ratio:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
