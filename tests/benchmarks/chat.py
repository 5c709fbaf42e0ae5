"""Messages posted over HTTP: how fast they are accepted, and how fast they reach the websockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.benchmarks.chatq_side import installation
from tests.benchmarks.guide_side import GuideSide, run_load
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.stage import Stage

ACCEPTED = 10_000
DELIVERED = 10_000
PACED = 1_000
RATE = 100
"""Messages a second."""
WARM_UP = 1_000
GUIDE = "guide, concurrency 50"


@contextmanager
def accept(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs in which one API process accepts as much as it can, and nothing else runs."""
    options: dict[str, str | int] = {"messages": stage.sized(ACCEPTED), "warm_up": stage.sized(WARM_UP)}
    with stage.valkey() as url:
        yield [
            lambda: post_to_chatq(stage, url, options, workers=False),
            lambda: post_to_guide(stage, url, options, workers=False),
        ]


@contextmanager
def saturated(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs in which each of 32 connections posts again as soon as it may."""
    yield from _end_to_end(stage, {"messages": stage.sized(DELIVERED), "warm_up": stage.sized(WARM_UP)})


@contextmanager
def paced(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs in which a hundred messages a second are posted, whatever happens."""
    yield from _end_to_end(stage, {"messages": stage.sized(PACED), "warm_up": stage.sized(WARM_UP), "rate": RATE})


def _end_to_end(stage: Stage, options: dict[str, str | int]) -> Iterator[Sequence[Run]]:
    with stage.valkey() as url:
        yield [
            lambda: post_to_chatq(stage, url, options | {"listen": "websocket"}),
            lambda: post_to_guide(stage, url, options | {"listen": "socket.io"}),
        ]


def post_to_chatq(stage: Stage, redis_url: str, options: dict[str, str | int], *, workers: bool = True) -> Figures:
    """Run ``chatq api`` and ``chatq worker`` as they come, and the load client."""
    with (
        stage.postgres_database() as database_url,
        installation(stage, redis_url, database_url) as chatq,
        ExitStack() as processes,
    ):
        url = processes.enter_context(chatq.api())
        if workers:
            processes.enter_context(chatq.worker())
        return run_load(stage, url, **options)


def post_to_guide(stage: Stage, redis_url: str, options: dict[str, str | int], *, workers: bool = True) -> Figures:
    """Run the guide's web process and its worker, and the load client."""
    with stage.postgres_database() as database_url, ExitStack() as processes:
        guide = GuideSide(stage, redis_url, database_url)
        url = processes.enter_context(guide.api())
        if workers:
            processes.enter_context(guide.worker()).wait_for("ready")
        return run_load(stage, url, **options)


BENCHMARKS = (
    Benchmark(
        "accept",
        "POST accept, saturated, one API process, 32 connections",
        ("chatq", "Express + BullMQ"),
        (Measure("accept_rate", "requests/s", at_least=1),),
        accept,
    ),
    Benchmark(
        "end-to-end",
        "POST to websocket, saturated, 32 connections",
        ("chatq", GUIDE),
        (Measure("deliver_rate", "messages/s", at_least=3),),
        saturated,
    ),
    Benchmark(
        "paced",
        "100 messages a second",
        ("chatq", GUIDE),
        (
            Measure("accept_p50", "ms", at_most=1.1),
            Measure("accept_p99", "ms", at_most=1.1),
            Measure("deliver_p50", "ms", at_most=1.1),
            Measure("deliver_p99", "ms", at_most=1.1),
        ),
        paced,
        pairs=9,
    ),
)
