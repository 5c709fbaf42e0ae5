"""Runs benchmarks: ``python -m tests.benchmarks.run [NAME …] [--pairs N] [--json FILE]``."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import chat, claims, drain, feed, long_conversation, memory
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.measure import Benchmark, Result, run_benchmark
from tests.benchmarks.node import MissingNode
from tests.benchmarks.report import table, to_json
from tests.benchmarks.sockets import connecting, delivery, sending
from tests.benchmarks.stage import Stage

MODULES = (drain, chat, feed, claims, long_conversation, memory, delivery, connecting, sending)
BENCHMARKS: tuple[Benchmark, ...] = tuple(benchmark for module in MODULES for benchmark in module.BENCHMARKS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for, print the table, and return 1 if something was not reached."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = [benchmark.name for benchmark in BENCHMARKS]
    if unknown := set(options.names) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = [benchmark for benchmark in BENCHMARKS if not options.names or benchmark.name in options.names]
    # So that every process that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Thousands of sockets, each a file; the servers see to it themselves.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if hard != resource.RLIM_INFINITY else (65_536, hard))
    stage = Stage(options.scale)
    results: list[Result] = []
    machine: dict[str, str] = {}
    try:
        machine = describe_machine(stage)
        for benchmark in chosen:
            pairs = options.pairs or benchmark.pairs
            _say(f"{benchmark.name}: {' against '.join(benchmark.sides)}, {benchmark.title}")
            results.append(run_benchmark(benchmark, stage, pairs, _say))
            if options.json:
                options.json.write_text(to_json(machine, results, options.scale))
    except MissingNode as error:
        _say(str(error))
        return 2
    finally:
        stage.close()
        if results:
            print(table(machine, results, options.scale))
    return 0 if all(row.met for result in results for row in result.rows()) else 1


def _parser() -> argparse.ArgumentParser:
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser("python -m tests.benchmarks.run", description="Measure chatq against its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all: {', '.join(names)}")
    parser.add_argument("--pairs", type=int, help="how often each side runs, instead of each benchmark's own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every run's figures are written")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the messages; below 1 only to try things out")
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
