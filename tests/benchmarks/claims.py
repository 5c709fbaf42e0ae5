"""What it costs to claim jobs from a queue that is a thousand times as deep."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from chatq.domain.clock import timestamp
from chatq.queue import keys
from chatq.queue.claims import Finish
from chatq.queue.codec import encode_job
from chatq.queue.connection import connect
from chatq.queue.lanes import BATCH, Lanes
from tests.benchmarks.chatq_side import made_up
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage

DEEP = 1_000_000
SHALLOW = 1_000
SAMPLES = 50
AT_ONCE = 1000
_SOURCE = Path(__file__).with_name("deep_lane.lua").read_text()


class Lane:
    """One lane with always the same number of jobs in it."""

    def __init__(self, url: str, depth: int) -> None:
        self._client = connect(url)
        self._lanes = Lanes(self._client, 1, "benchmark")
        self._put = self._client.register_script(_SOURCE)
        self._data = encode_job(next(made_up(1, 1)))
        self._next = 0
        for _ in range(depth // AT_ONCE):
            self._fill(AT_ONCE)

    def measure(self) -> Figures:
        """Claim batches of :data:`BATCH` jobs; return the median of how long one took."""
        return {"claim": median(self._claim() for _ in range(SAMPLES)) * 1e3}

    def _claim(self) -> float:
        began = time.perf_counter()
        held = self._lanes.take()
        taken = time.perf_counter() - began
        if held is None or len(held.claims) != BATCH:
            raise RuntimeError(f"claimed {held and len(held.claims)} jobs, not {BATCH}")
        held.epoch = 1
        self._lanes.finish(held, Finish(done=[claim.job_id for claim in held.claims]), batch=0)
        self._fill(BATCH)
        return taken

    def _fill(self, count: int) -> None:
        name = keys.lane_name(0)
        self._put(keys=[keys.queue(name), keys.JOB], args=[count, self._next, self._data, timestamp(), name])
        self._next += count


@contextmanager
def deep_against_shallow(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs on a deep and on a shallow queue, each in a Valkey of its own."""
    with stage.valkey() as deep, stage.valkey() as shallow:
        yield [Lane(deep, stage.sized(DEEP)).measure, Lane(shallow, SHALLOW).measure]


BENCHMARKS = (
    Benchmark(
        "claim",
        f"to claim {BATCH} jobs",
        ("of 1,000,000 queued", "of 1,000 queued"),
        (Measure("claim", "ms", at_most=1.2),),
        deep_against_shallow,
    ),
)
