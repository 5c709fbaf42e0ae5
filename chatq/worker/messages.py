"""The loop that does message jobs: take a lane, apply its jobs a batch at a time, let it go.

Whatever fails on the way, jobs are either still claimed (and come back to the head of their lane when the
lease ends), or committed (and are recognised when they come again).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import redis
import structlog
from sqlalchemy import Engine

from chatq.errors import ChatqError, DatabaseError, LaneLost
from chatq.queue.lanes import BATCH, Held, Lanes
from chatq.queue.routing import Router
from chatq.store.fence import take_over
from chatq.store.reads import ping
from chatq.worker.batch import work_off
from chatq.worker.presence import Presence
from chatq.worker.signals import StopSignal

IDLE_SECONDS = 1.0
"""How long an idle worker waits before it looks around unasked: for lanes whose holder died, delayed jobs
that are due, and jobs of plain RQ clients."""
MAX_PAUSE_SECONDS = 1.0

log = structlog.get_logger("chatq.worker")


class MessageWorker:
    """Does message jobs until it is told to stop."""

    def __init__(
        self, client: redis.Redis, waiting: redis.Redis, engine: Engine, lanes: Lanes, presence: Presence
    ) -> None:
        """Take ready parts; ``waiting`` is a client without a timeout, for the doorbell alone."""
        self._client = client
        self._waiting = waiting
        self._engine = engine
        self._lanes = lanes
        self._presence = presence
        self._router = Router(client, lanes.count)
        self._pause = 0.0

    def run(self, stop: StopSignal, *, burst: bool = False) -> None:
        """Work until ``stop``, or, with ``burst``, until no job is ready."""
        self._surviving(self._presence.register, stop)
        log.info("worker started", worker=self._presence.name, lanes=self._lanes.count)
        while not stop.stopping:
            idle = self._surviving(lambda: self._step(stop), stop)
            if idle and burst and not self._lanes.unrouted:
                break
            if idle and not stop.stopping and not self._lanes.unrouted:
                self._wait(stop)
        self._surviving(self._presence.unregister, stop)
        log.info("worker stopped", worker=self._presence.name)

    def _step(self, stop: StopSignal) -> bool:
        """Do what there is of one lane; return True if there was nothing."""
        self._presence.beat()
        held = self._lanes.take()
        if self._lanes.unrouted:
            self._router.route()
        if held is None:
            self._presence.show("idle")
            self._pause = 0.0
            return True
        self._presence.show("busy")
        self._hold(held, stop)
        self._pause = 0.0
        return False

    def _hold(self, held: Held, stop: StopSignal) -> None:
        while held.claims:
            try:
                if held.epoch is None and not self._lanes.hold(held, epoch=take_over(self._engine, held.lane)):
                    return
                finish = work_off(self._engine, held)
            except LaneLost:
                # Either another worker took over, or Redis remembered an epoch that the database has left behind.
                if not self._lanes.hold(held):
                    log.warning("lane lost", lane=held.lane)
                    return
                held.epoch = None
                continue
            except DatabaseError:
                self._lanes.give_back(held)
                raise
            if not self._lanes.finish(held, finish, batch=0 if stop.stopping else BATCH):
                log.warning("lane lost after its jobs were committed", lane=held.lane)
                return
            self._presence.beat()

    def _wait(self, stop: StopSignal) -> None:
        def wait() -> None:
            self._lanes.wait(self._waiting, IDLE_SECONDS)

        finished = self._surviving(lambda: stop.wait(wait), stop)
        if not finished:
            self._waiting.connection_pool.disconnect()

    def _surviving(self, action: Callable[[], bool | None], stop: StopSignal) -> bool:
        """Call ``action``; if Redis or the database is away, say so, wait until it is back, and return False."""
        try:
            return bool(action())
        except (redis.RedisError, OSError) as error:
            self._outage(stop, "Redis", str(error), lambda: self._client.ping())
        except DatabaseError as error:
            self._outage(stop, "the database", error.detail, lambda: ping(self._engine))
        return False

    def _outage(self, stop: StopSignal, what: str, why: str, probe: Callable[[], object]) -> None:
        log.error(f"{what} cannot be used; waiting", reason=why)
        began = time.monotonic()
        while not stop.stopping:
            # Also before the first probe: an outage that the probe does not see must not spin.
            self._pause = min(MAX_PAUSE_SECONDS, self._pause * 2 or 0.05)
            stop.wait(lambda: time.sleep(self._pause))
            try:
                probe()
            except (redis.RedisError, OSError, ChatqError):
                continue
            log.info(f"{what} can be used again", after_seconds=round(time.monotonic() - began, 2))
            return
