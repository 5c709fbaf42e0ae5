"""Watermarks: when the edge refuses work, before Redis or the workers are overwhelmed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chatq.domain.clock import seconds
from chatq.errors import Overloaded
from chatq.queue import keys
from chatq.queue.scripts import Command, evalsha

SAMPLE_SECONDS = 0.25
"""How old a sample may grow before the next batch of jobs takes a new one along."""
MAX_AGE_SECONDS = 3600.0
"""Age of the oldest waiting job at which nobody seems to work any more."""
MEMORY_SHARE = 0.9
"""Part of Redis's ``maxmemory``, or else of its machine's memory, at which new work is refused: once it is exhausted,
jobs cannot even be taken out any more."""
RETRY_SECONDS = (1, 60)


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured, and when (monotonic seconds)."""

    at: float
    depth: int
    oldest_seconds: float
    ended: int
    memory_share: float


class Pressure:
    """Knows how deep the queue is, as of some fraction of a second ago."""

    def __init__(self, lanes: int, max_depth: int) -> None:
        self._lanes = lanes
        self._max_depth = max_depth
        self._sample: Sample | None = None
        self._added = 0
        """Jobs accepted since the sample; none of them is taken for done."""
        self._rate = 0.0
        """Jobs that end in a second."""

    @property
    def due(self) -> bool:
        """Whether the next pipeline should take :meth:`commands` along."""
        sample = self._sample
        return sample is None or time.monotonic() - sample.at > SAMPLE_SECONDS or self._depth(sample) >= self._max_depth

    def commands(self) -> list[Command]:
        """Return the commands whose answers :meth:`update` takes."""
        return [evalsha("pressure", [keys.ENDED], [self._lanes, keys.RQ]), ("INFO", "memory")]

    def update(self, answers: list[Any]) -> None:
        """Take the answers to :meth:`commands`."""
        (depth, oldest, ended), memory = answers
        now, before = time.monotonic(), self._sample
        # A server without a limit of its own has the machine's.
        limit = int(memory.get("maxmemory", 0)) or int(memory.get("total_system_memory", 0))
        share = int(memory.get("used_memory", 0)) / limit if limit else 0.0
        waited = 0.0
        # Somebody may have written it by hand: then it does not tell how long the job has waited.
        with suppress(ValueError):
            waited = max(0.0, time.time() - seconds(oldest.decode())) if oldest else 0.0
        self._added = 0
        self._sample = Sample(now, depth, waited, ended, share)
        if before is not None and now > before.at:
            rate = max(0, ended - before.ended) / (now - before.at)
            self._rate = rate if not self._rate else 0.7 * self._rate + 0.3 * rate

    def check(self, jobs: int) -> None:
        """Refuse ``jobs`` more jobs, if the last sample says so, and else count them in.

        Raises:
            Overloaded: says which watermark is reached, and when to come back.
        """
        sample = self._sample
        if sample is None:
            return
        depth = self._depth(sample)
        if depth >= self._max_depth:
            excess = depth - 0.9 * self._max_depth
            raise Overloaded(
                f"{depth} jobs wait; at most {self._max_depth} may (CHATQ_MAX_QUEUE_DEPTH).",
                self._time_for(excess),
            )
        if sample.memory_share >= MEMORY_SHARE:
            raise Overloaded(
                f"Redis uses {sample.memory_share:.0%} of its memory; new work stops at {MEMORY_SHARE:.0%}.",
                self._time_for(sample.depth / 10),
            )
        if sample.oldest_seconds >= MAX_AGE_SECONDS:
            raise Overloaded(
                f"The oldest job waits for {sample.oldest_seconds:.0f} seconds: is a worker alive?",
                self._time_for(sample.depth),
            )
        self._added += jobs

    def _depth(self, sample: Sample) -> int:
        return sample.depth + self._added

    def _time_for(self, jobs: float) -> int:
        """Return in how many seconds this many jobs will have ended, at the present rate."""
        low, high = RETRY_SECONDS
        return min(high, max(low, math.ceil(jobs / self._rate))) if self._rate > 0 else high
