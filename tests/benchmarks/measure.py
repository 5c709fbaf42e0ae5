"""What a benchmark is, and how one is run: its sides in turn, again and again, medians at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.stage import Stage

Figures = Mapping[str, float]
"""What one run of one side measured, by the keys of :class:`Measure`; others are only noted."""
Run = Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure, and what it has to reach.

    A bound is one of the ratio, the first side's figure to the second's, unless ``of_ratio`` is False: then, and
    where there is one side only, it is one of the first side's figure itself.
    """

    key: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    of_ratio: bool = True

    def is_met(self, value: float) -> bool:
        """Tell whether a ratio, or a figure, is within its bound."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A line of the README's table, or several that the same runs give."""

    name: str
    title: str
    sides: tuple[str, ...]
    """Their names: chatq first, then what it is compared with, if anything."""
    measures: tuple[Measure, ...]
    open: Callable[[Stage], AbstractContextManager[Sequence[Run]]]
    """Sets up what all runs share, and gives a run for each side."""
    pairs: int = 5
    """How often each side runs, at least."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one measure."""

    measure: Measure
    figures: tuple[float, ...]
    """Each side's median."""
    ratios: tuple[float, ...]
    """Of each pair; for one side only, its figures."""

    @property
    def value(self) -> float:
        """The median of the pairs' ratios, which the machine's moods disturb less than those of the figures."""
        return median(self.ratios)

    @property
    def met(self) -> bool:
        """Whether the bound is kept."""
        return self.measure.is_met(self.value if self.measure.of_ratio else self.figures[0])


@dataclass(slots=True)
class Result:
    """All runs of a benchmark."""

    benchmark: Benchmark
    rounds: list[tuple[Figures, ...]] = field(default_factory=list)
    """In the order in which they ran; in each, the sides' figures."""

    def rows(self) -> list[Row]:
        """Return what came of each measure."""
        return [self._row(measure) for measure in self.benchmark.measures]

    def _row(self, measure: Measure) -> Row:
        key = measure.key
        figures = tuple(median(side[key] for side in runs) for runs in zip(*self.rounds, strict=True))
        firsts = [sides[0][key] for sides in self.rounds]
        if len(self.benchmark.sides) == 1:
            return Row(measure, figures, tuple(firsts))
        seconds = [sides[1][key] for sides in self.rounds]
        return Row(measure, figures, tuple(a / b for a, b in zip(firsts, seconds, strict=True)))


def run_benchmark(benchmark: Benchmark, stage: Stage, pairs: int, say: Callable[[str], None]) -> Result:
    """Run the sides of a benchmark in turn, ``pairs`` times each, and ``say`` what each run gave."""
    result = Result(benchmark)
    with benchmark.open(stage) as runs:
        for number in range(1, pairs + 1):
            sides: list[Figures] = []
            for name, run in zip(benchmark.sides, runs, strict=True):
                figures = run()
                sides.append(figures)
                say(f"  {number}/{pairs} {name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in figures.items()))
            result.rounds.append(tuple(sides))
    return result
