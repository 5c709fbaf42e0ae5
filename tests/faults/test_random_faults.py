"""Random faults under load, and then the reckoning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from threading import Event

from tests.faults.chaos import Chaos
from tests.faults.conftest import SEED
from tests.faults.reconcile import check_database, check_watchers, settle, wait_until_quiet
from tests.faults.system import System
from tests.faults.talker import Talker
from tests.faults.task import Task, raise_faults
from tests.faults.transcript import Transcript
from tests.faults.watcher import Watcher
from tests.parts.waiting import until

WORKERS, APIS, CONVERSATIONS, WATCHERS = 3, 2, 12, 5
QUIET_SECONDS = 120.0
SEEN_SECONDS = 60.0
"""How long after the last job the last event may arrive, on connections that nobody cuts any more."""


def test_whatever_is_killed_nothing_is_lost_doubled_or_out_of_order(
    killable_system: System, seed: int, seconds: float
) -> None:
    system = killable_system
    print(f"{SEED}={seed}; the logs are in {system.directory}")
    random = Random(seed)
    talkers_end, watchers_end, chaos_ends = Event(), Event(), Event()
    # Given a system with several workers and APIs, in which people talk and watch
    workers = [system.start_worker() for _ in range(WORKERS)]
    ports = [system.start_api().port for _ in range(APIS)]
    for worker in workers:
        worker.wait_until_ready()
    names = [f"room-{number}" for number in range(CONVERSATIONS)]
    talkers = [Talker(name, random.sample(ports, APIS), Random(random.random()), talkers_end) for name in names]
    watchers = [
        Watcher(watched, random.sample(ports, APIS), watchers_end, cuts=_cuts(Random(random.random())), calm=chaos_ends)
        for watched in _shares(random, names)
    ]
    chaos = Chaos(system, random, chaos_ends)
    talking, watching = [Task(talker.run) for talker in talkers], [Task(watcher.run) for watcher in watchers]
    system.keep_alive()
    try:
        # When parts of it are killed and frozen
        for task in [*watching, *talking, *chaos.tasks]:
            task.start()
        chaos_ends.wait(seconds)
        _end(chaos_ends, chaos.tasks)
        _end(talkers_end, talking)
        # Then, once it is left in peace, it does what there is to be done
        transcripts = [talker.transcript for talker in talkers]
        wait_until_quiet(system, QUIET_SECONDS)
        settle(system.engine, transcripts)
        until(lambda: _have_all(watchers, transcripts) or _failed(watching), SEEN_SECONDS, "all seen by all")
        _end(watchers_end, watching)
    finally:
        print("\n".join(chaos.log))
        for enough in (chaos_ends, talkers_end, watchers_end):
            enough.set()
        for talker in talkers:
            talker.client.give_up()
            path = system.directory / f"{talker.transcript.conversation}.journal"
            path.write_text("\n".join(talker.journal))
    # And everything that was accepted is there once, in order, and was seen once, in order
    check_database(system.engine, transcripts)
    check_watchers(watchers, transcripts)
    _report(chaos, talkers, watchers)


def _cuts(random: Random) -> Iterator[float]:
    """Yield how many seconds a watcher's connections last, if no API dies before: few, or many, in turns."""
    while True:
        yield random.uniform(0, 5)
        yield random.uniform(10, 25)


def _shares(random: Random, names: Sequence[str]) -> list[list[str]]:
    """Deal the conversations out, each to two watchers."""
    shares: list[list[str]] = [[] for _ in range(WATCHERS)]
    for name in names:
        for at in random.sample(range(WATCHERS), 2):
            shares[at].append(name)
    return [share for share in shares if share]


def _end(enough: Event, tasks: Sequence[Task]) -> None:
    enough.set()
    for task in tasks:
        task.join()
    raise_faults(tasks)


def _have_all(watchers: Sequence[Watcher], transcripts: Sequence[Transcript]) -> bool:
    counts = {transcript.conversation: len(transcript.events) for transcript in transcripts}
    return all(len(seen) >= counts[name] for watcher in watchers for name, seen in watcher.seen.items())


def _failed(tasks: Sequence[Task]) -> bool:
    return any(task.fault is not None for task in tasks)


def _report(chaos: Chaos, talkers: Sequence[Talker], watchers: Sequence[Watcher]) -> None:
    print(
        f"{sum(t.requests for t in talkers)} requests, {sum(t.client.unanswered for t in talkers)} times no answer, "
        f"{sum(len(t.transcript.events) for t in talkers)} events, {sum(w.connections for w in watchers)} connections"
    )
    print(", ".join(f"{what}: {times}" for what, times in sorted(chaos.done.items())))
