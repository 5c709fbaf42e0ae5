"""Lines of several processes in one stream."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatq.supervise.output import Lines, Output

NAMES = ["chatq", "api", "worker"]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def text_of(output: Output, reader: int) -> bytes:
    output.finish()
    return os.read(reader, 100_000) if select.select([reader], [], [], 0)[0] else b""


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), min_size=1))
def test_lines_are_the_same_however_the_bytes_arrive(data: bytes, sizes: list[int]) -> None:
    # Given what a process wrote, in pieces of any size
    lines, place = Lines(), 0
    found: list[bytes] = []
    while place < len(data):
        size = sizes[len(found) % len(sizes)]
        found.extend(lines.cut(data[place : place + size]))
        place += size
    found.extend(lines.rest())
    # Then the lines are those of the whole
    expected = data.split(b"\n")
    assert found == (expected if expected[-1] else expected[:-1])


def test_a_line_without_end_is_cut_before_it_fills_the_memory() -> None:
    lines = Lines()
    found = [line for _ in range(10) for line in lines.cut(b"x" * 50_000)]
    assert sum(map(len, found)) >= 400_000


def test_names_are_padded_to_one_width_and_text_begins_in_one_column(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = Output(writer, NAMES, colour=False)
    output.line("api", b"hello\r")
    output.line("worker", "grüße \x1b[31mred".encode())
    assert text_of(output, reader).decode() == "[api]    hello\n[worker] grüße \x1b[31mred\n"


def test_colours_are_on_names_and_end_with_the_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = Output(writer, NAMES, colour=True)
    output.line("api", b"hello")
    output.line("worker", b"\x1b[31mred")
    assert text_of(output, reader) == b"\x1b[36m[api]\x1b[0m    hello\n\x1b[33m[worker]\x1b[0m \x1b[31mred\x1b[0m\n"


def test_a_reader_that_does_not_read_stops_nothing_and_loses_nothing(pipe: tuple[int, int]) -> None:
    # Given far more than the pipe takes
    reader, writer = pipe
    output = Output(writer, NAMES, colour=False)
    line = b"y" * 1000
    for _ in range(2000):
        output.line("api", line)
    # When it is written while nobody reads, then that returns, and says that it is too much
    output.write()
    assert output.pending
    assert output.full
    # When the reader reads at last, then everything arrives
    expected = (b"[api]    " + line + b"\n") * 2000
    received = b""
    while len(received) < len(expected):
        received += os.read(reader, 65536)
        output.write()
    assert received == expected


def test_a_reader_that_went_away_is_noticed() -> None:
    reader, writer = os.pipe()
    output = Output(writer, NAMES, colour=False)
    os.close(reader)
    output.line("api", b"hello")
    output.write()
    output.line("api", b"hello again")
    assert output.reader_gone
    assert not output.pending
    os.close(writer)
