"""The loop that does message jobs: take a lane, apply its jobs a batch at a time, let it go.

Whatever fails on the way, jobs are either still claimed (and come back to the head of their lane when the
lease ends), or committed (and are recognised when they come again).
"""

from __future__ import annotations

from functools import partial

import redis
import structlog
from sqlalchemy import Engine

from chatq.errors import DatabaseError, LaneLost
from chatq.queue.claims import Held
from chatq.queue.lanes import BATCH, Lanes
from chatq.queue.routing import Router
from chatq.queue.watching import find_waiting
from chatq.store.engine import ping
from chatq.store.faults import may_be_a_job_s
from chatq.store.fence import take_over
from chatq.worker.batch import Batch
from chatq.worker.outage import Survivor
from chatq.worker.registration import Registration
from chatq.worker.signals import StopSignal

IDLE_SECONDS = 1.0
"""How long an idle worker waits before it looks around unasked: for lanes whose holder died, delayed jobs
that are due, and jobs of plain RQ clients."""

STRIKES = 3
"""After so many outages in a row, with a database that answers, the jobs themselves are suspected."""

CAREFUL_JOBS = 100
"""So many are then done one by one before jobs are taken together again."""

log = structlog.get_logger("chatq.worker")


class MessageWorker:
    """Does message jobs until it is told to stop."""

    def __init__(
        self,
        client: redis.Redis,
        waiting: redis.Redis,
        engine: Engine,
        lanes: Lanes,
        registration: Registration,
        *,
        batch: int = BATCH,
    ) -> None:
        """Take ready parts; ``waiting`` is a client for the doorbell alone, whose timeout is longer than a wait."""
        self._client = client
        self._waiting = waiting
        self._engine = engine
        self._lanes = lanes
        self._registration = registration
        self._full = batch
        self._router = Router(client, lanes.count)
        self._strikes: dict[int, int] = {}
        self._careful: dict[int, int] = {}
        """Lanes in which a job is suspected, with how many more must do well."""

    def run(self, stop: StopSignal, *, burst: bool = False) -> None:
        """Work until ``stop``, or, with ``burst``, until no job is ready."""
        surviving = Survivor(self._client, self._engine, stop, self._registration.beat)
        log.info("worker started", worker=self._registration.name, lanes=self._lanes.count)
        while not stop.stopping:
            idle = surviving(lambda: self._step(stop)) and not self._lanes.unrouted
            if idle and burst:
                break
            if idle:
                surviving(lambda: self._wait(stop))
        surviving(self._registration.unregister)
        log.info("worker stopped", worker=self._registration.name)

    def _step(self, stop: StopSignal) -> bool:
        """Do what there is of one lane; return True if there was nothing."""
        self._registration.beat()
        held = self._lanes.take(self._batch)
        if self._lanes.unrouted:
            self._router.route()
        if held is None:
            return True
        self._work(held, stop)
        return False

    def _work(self, held: Held, stop: StopSignal) -> None:
        """Apply a lane's jobs batch by batch, until it is let go.

        While there is plenty of work, the next batch is claimed and the last one finished in Redis while the
        database has the present one.
        """
        try:
            while held.claims:
                if len(held.claims) == self._full and not (self._careful or stop.stopping):
                    self._lanes.claim_ahead(held, self._full)
                if not self._work_off(held, stop):
                    return
                self._registration.beat()
        finally:
            # The lane may be taken anew from here: nothing that was asked about it must come later.
            self._lanes.settle(held)

    def _work_off(self, held: Held, stop: StopSignal) -> bool:
        """Apply the jobs in hand; return False if the lane was lost."""
        try:
            if held.epoch is None and not self._lanes.hold(held, epoch=take_over(self._engine, held.lane)):
                return False
            suspect = held.lane in self._careful and len(held.claims) == 1
            finish = Batch(held).work_off(self._engine, partial(self._find_waiting, held), suspect=suspect)
        except LaneLost:
            # Either another worker took over, or Redis remembered an epoch that the database has left behind.
            if not self._lanes.hold(held):
                log.warning("lane lost", lane=held.lane)
                return False
            held.epoch = None
            return True
        except DatabaseError as error:
            self._lanes.give_back(held)
            self._count_strike(held.lane, error)
            raise
        self._calm_down(held.lane, well=len(finish.done) == len(held.claims))
        if not self._lanes.finish(held, finish, batch=0 if stop.stopping else self._batch):
            log.warning("lane lost after its jobs were committed", lane=held.lane)
            return False
        return True

    def _find_waiting(self, held: Held, message_ids: set[str]) -> set[str]:
        """Return those of these messages that wait to be stored, once all batches before are finished."""
        self._lanes.settle(held)
        return find_waiting(self._client, message_ids)

    @property
    def _batch(self) -> int:
        """How many jobs to claim: one at a time, so that each fits the lease, while some job is suspected."""
        return 1 if self._careful else self._full

    def _count_strike(self, lane: int, error: DatabaseError) -> None:
        """Count how often a lane's batch ran into an outage that was none, as far as the database can tell."""
        try:
            ping(self._engine)
            innocent = not may_be_a_job_s(error)
        except DatabaseError:
            innocent = True
        if innocent:
            self._strikes.pop(lane, None)
            return
        self._strikes[lane] = self._strikes.get(lane, 0) + 1
        if self._strikes[lane] >= STRIKES:
            log.warning("jobs are suspected and done one by one", lane=lane)
            self._careful[lane] = CAREFUL_JOBS

    def _calm_down(self, lane: int, *, well: bool) -> None:
        """Take a lane's jobs together again once so many in a row did well."""
        self._strikes.pop(lane, None)
        if lane in self._careful:
            self._careful[lane] = self._careful[lane] - 1 if well else CAREFUL_JOBS
            if not self._careful[lane]:
                del self._careful[lane]

    def _wait(self, stop: StopSignal) -> bool:
        if not stop.wait(lambda: self._lanes.wait(self._waiting, IDLE_SECONDS)):
            # A signal cut an answer off.
            self._waiting.connection_pool.disconnect()
        return True
