"""Chaos: three who break things at the same time, each in its own way, until there is enough."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from random import Random
from signal import SIGCONT, SIGSTOP
from threading import Event, Lock
from typing import TypeVar

from chatq.queue.lanes import LEASE_MS
from tests.faults.points import IN_TRANSACTION, POINTS, Deed, Point
from tests.faults.processes import Worker
from tests.faults.system import System
from tests.faults.task import Task

Thing = TypeVar("Thing")

REACHED_SECONDS = 6.0
"""Within this time a worker should be where it is ordered to: a dead one's lane is free after half of it."""


class Chaos:
    """Breaks a system whose dead processes are replaced by :meth:`System.keep_alive`."""

    def __init__(self, system: System, random: Random, enough: Event) -> None:
        self.log: list[str] = []
        """What was done when, for whoever looks for a fault."""
        self.done: Counter[str] = Counter()
        """How often each thing was done."""
        self._system = system
        self._enough = enough
        self._began = time.monotonic()
        self._busy: set[int] = set()
        self._lock = Lock()
        # Each has its own chance, so that what one does depends on no other's pace.
        self.tasks = [
            Task(partial(act, Random(random.random()))) for act in (self._freezer, self._killer, self._breaker)
        ]
        """To be started; whatever they broke is whole again when they have ended, ``enough`` being set."""

    def _freezer(self, random: Random) -> None:
        """Freeze workers at every point for longer than the lease, and wake them, or kill them in their sleep."""
        points = POINTS if self._system.database.is_server else [p for p in POINTS if p not in IN_TRANSACTION]
        for point in _turns(random, points):
            if self._enough.is_set():
                return
            worker = self._send_to(random, point, Deed.FREEZE)
            if worker is None:
                continue
            self._enough.wait(LEASE_MS / 1000 + random.uniform(-1.0, 2.0))
            if random.random() < 0.8:
                self._note(f"worker {worker.pid} wakes")
                worker.wake()
            else:
                self._note(f"worker {worker.pid} is killed in its sleep")
                worker.kill()
            self._let_go(worker)

    def _killer(self, random: Random) -> None:
        """Kill workers at every point, and at any moment."""
        for point in _turns(random, [*POINTS, None, None]):
            if self._enough.wait(random.uniform(0, 2)):
                return
            if point is not None:
                worker = self._send_to(random, point, Deed.KILL)
            elif (worker := self._choose(random)) is not None:
                self._do(f"kill worker {worker.pid}", "kill anywhere", worker.kill)
            if worker is not None:
                self._let_go(worker)

    def _breaker(self, random: Random) -> None:
        """Kill Valkey, Postgres and APIs; freeze Valkey."""
        system = self._system
        deeds = [self._kill_valkey, self._kill_valkey, self._freeze_valkey, self._kill_api, self._kill_part_of_api]
        if system.database.is_server:
            deeds += [self._kill_database, self._kill_database]
        for deed in _turns(random, deeds):
            if self._enough.wait(random.uniform(0.5, 3.5)):
                return
            deed(random)

    def _kill_valkey(self, random: Random) -> None:
        self._do("kill Valkey", "kill Valkey", self._system.valkey.kill)
        self._enough.wait(random.choice([0, 0.3, 1.5]))
        self._do("start Valkey", "start Valkey", self._system.valkey.start)

    def _freeze_valkey(self, random: Random) -> None:
        self._do("freeze Valkey", "freeze Valkey", lambda: self._system.valkey.send_signal(SIGSTOP))
        self._enough.wait(random.uniform(0.2, 2))
        self._do("wake Valkey", "wake Valkey", lambda: self._system.valkey.send_signal(SIGCONT))

    def _kill_database(self, random: Random) -> None:
        self._do("kill the database", "kill database", self._system.database.kill)
        self._enough.wait(random.choice([0, 0.3, 1.5]))
        self._do("start the database", "start database", self._system.database.start)

    def _kill_api(self, random: Random) -> None:
        api = random.choice(self._system.apis)
        self._do(f"kill the API {api.pid}", "kill API", api.kill)

    def _kill_part_of_api(self, random: Random) -> None:
        api = random.choice(self._system.apis)
        if random.random() < 0.5:
            self._do(f"kill what serves of the API {api.pid}", "kill API's child", api.kill_child)
        else:
            self._do(f"kill the arbiter of the API {api.pid}", "kill API's arbiter", api.kill_arbiter)

    def _choose(self, random: Random) -> Worker | None:
        """Return a worker that nobody else has chosen, or None."""
        with self._lock:
            free = [worker for worker in self._system.workers if worker.alive and worker.pid not in self._busy]
            if not free:
                return None
            worker = random.choice(free)
            self._busy.add(worker.pid)
            return worker

    def _send_to(self, random: Random, point: Point, deed: Deed) -> Worker | None:
        """Return a worker that did the deed at ``point``; None if none came there in time."""
        worker = self._choose(random)
        if worker is None:
            self._enough.wait(0.2)
            return None
        if point in (Point.TAKING_OVER, Point.TAKEN_OVER):
            # Somebody has to die, or no lane is taken over.
            worker.order(point, deed)
            if (other := self._choose(random)) is not None:
                other.order(Point.CLAIMED, Deed.KILL)
                self._let_go(other)
        else:
            worker.order(point, deed, passes=random.choice([0, 0, 1, 5]))
        deadline = time.monotonic() + REACHED_SECONDS
        while not worker.been_at(point):
            if time.monotonic() > deadline or not worker.alive or self._enough.is_set():
                # The order may be carried out at the last moment: it is as good as any, and ended with the worker.
                self._note(f"worker {worker.pid} is not at {point} in time, and is killed")
                worker.kill()
                self._let_go(worker)
                return None
            self._enough.wait(0.005)
        self.done[f"{deed} {point}"] += 1
        self._note(f"worker {worker.pid}: {deed} at {point}")
        return worker

    def _let_go(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker.pid)

    def _do(self, what: str, kind: str, deed: Callable[[], object]) -> None:
        self._note(what)
        self.done[kind] += 1
        with suppress(ProcessLookupError):
            deed()

    def _note(self, what: str) -> None:
        self.log.append(f"{time.monotonic() - self._began:7.3f} {what}")


def _turns(random: Random, things: list[Thing]) -> Iterator[Thing]:
    """Yield all things in a random order, then all in another, for ever."""
    while True:
        yield from random.sample(things, len(things))
