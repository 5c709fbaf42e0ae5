"""Bars and spinners for what takes long: on stderr if it is a terminal that can show them, else nothing at all.

They are gone once the work is done. What is printed on the same console meanwhile stands above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from chatq.cli.terminal import visible

_NARROW = 72
"""Columns below which count and rate give way to the bar."""
_LONGEST_TITLE = 24

Advance = Callable[[int, float], None]
"""Takes how many are done, and which share of all, from 0 to 1, that is."""


def is_live(console: Console) -> bool:
    """Tell whether a console can show what moves."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def bar(console: Console, title: str, unit: str) -> Iterator[Advance]:
    """Show how much is done, how fast, and how long the rest will take.

    Args:
        console: where.
        title: what is being done.
        unit: what is counted, in the plural.
    """
    if not is_live(console):
        yield lambda _count, _share: None
        return
    title = visible(title)
    if len(title) > _LONGEST_TITLE:
        title = f"{title[: _LONGEST_TITLE - 1]}…" if _knows_ellipsis(console) else title[:_LONGEST_TITLE]
    counts = [] if console.width < _NARROW else [_Count(unit), _Rate()]
    columns = [
        _title(),
        BarColumn(max(8, min(40, console.width // 4))),
        TaskProgressColumn(),
        *counts,
        TimeRemainingColumn(compact=True),
    ]
    with _progress(console, *columns) as shown:
        task = shown.add_task(title, total=1.0, count=0)
        yield lambda count, share: shown.update(task, completed=share, count=count)


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Show which step is being done, given its title, its number and how many there are, and for how long."""
    if not is_live(console):
        yield lambda _title, _number, _total: None
        return
    columns = [TextColumn("{task.fields[number]}/{task.total:.0f}"), BarColumn(16), TimeElapsedColumn(), _title()]
    # Seldom drawn: what is being measured is not to wait for it.
    with _progress(console, *columns, per_second=1) as shown:
        task = shown.add_task("", total=1, number=0, visible=False)
        yield lambda title, number, total: shown.update(
            task, description=title, total=total, completed=number - 1, number=number, visible=True
        )


@contextmanager
def spinner(console: Console, title: str, *, seconds: float | None = None) -> Iterator[None]:
    """Show that something is being waited for, and, if so many ``seconds`` are given, how long still."""
    if not is_live(console):
        yield
        return
    with _progress(console, SpinnerColumn("line"), _title(), *([_Left()] if seconds else [])) as shown:
        shown.add_task(visible(title), total=seconds)
        yield


def _progress(console: Console, *columns: ProgressColumn, per_second: float = 8) -> Progress:
    # What goes to stdout is not for this console, which is stderr's.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, refresh_per_second=per_second)


def _title() -> TextColumn:
    return TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))


def _knows_ellipsis(console: Console) -> bool:
    return console.encoding.startswith("utf")


class _Count(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return how many are done."""
        return Text(f"{task.fields['count']:,} {self._unit}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many are done in a second, lately."""
        if not task.speed or not task.completed:
            return Text()
        return Text(f"{task.speed * task.fields['count'] / task.completed:,.0f}/s", "dim")


class _Left(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many seconds are left."""
        return Text(f"{max(0.0, (task.total or 0) - (task.elapsed or 0)):.0f} s left", "dim")
