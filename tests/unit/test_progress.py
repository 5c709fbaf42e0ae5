"""Bars and spinners: what a terminal shows of them, and that nothing else shows anything."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from chatq.cli.progress import bar, spinner, steps
from tests.parts.terminal import ESCAPE


def terminal(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=True, _environ={"TERM": "xterm"})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def use_all(console: Console) -> None:
    with bar(console, "a [bold]file[/bold] with a very long name.jsonl", "lines") as advance:
        advance(500, 0.25)
        advance(1000, 0.5)
        console.print("line 7: is blank")
        advance(2000, 1.0)
    with steps(console) as show:
        show("accept: POST over connections", 1, 3)
        show("drain: queued jobs", 2, 3)
    with spinner(console, "waiting for Redis", seconds=9):
        pass


@pytest.mark.parametrize(
    "console",
    [
        Console(file=io.StringIO(), force_terminal=False),
        Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}),
    ],
    ids=["pipe", "dumb"],
)
def test_nothing_is_shown_where_nothing_can_move(console: Console) -> None:
    use_all(console)
    assert written(console) == "line 7: is blank\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_line_that_moves_never_has_more_than_the_terminals_width(width: int) -> None:
    console = terminal(width)
    use_all(console)
    lines = ESCAPE.sub("", written(console)).replace("\r", "\n").splitlines()
    assert max(map(cell_len, lines)) <= width
    # And what is printed meanwhile has a line of its own
    assert "line 7: is blank" in [line.rstrip() for line in lines]


def test_how_much_how_fast_and_how_long_still() -> None:
    console = terminal()
    use_all(console)
    shown = ESCAPE.sub("", written(console))
    assert re.search(r"a \[bold\]file\[/bold\] wit… ━+ 100% 2,000 lines [0-9,]+/s \d+:\d\d", shown)
    assert re.search(r"2/3 ━+╺━+ \d:\d\d:\d\d drain: queued jobs", shown)
    assert "waiting for Redis 9 s left" in shown
