"""A message worker that can be stopped at named points.

It is built as ``chatq worker --only messages`` is, of the same parts, some of them with points in between.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import redis
import sqlalchemy
from sqlalchemy import event

from chatq.cli.compose import check_belonging
from chatq.cli.roles import prepare
from chatq.errors import ChatqError
from chatq.queue.claims import Finish, Held
from chatq.queue.connection import connect, translated
from chatq.queue.lanes import BATCH, Lanes
from chatq.queue.routing import Router
from chatq.settings import load
from chatq.store import batch
from chatq.store.bulk import Write, commit_with
from chatq.worker.messages import MessageWorker
from chatq.worker.registration import Registration, new_name
from chatq.worker.run import DOORBELL_SECONDS
from chatq.worker.signals import StopSignal
from tests.faults.points import Orders, Point


class StoppableLanes(Lanes):
    """Lanes with points before and after what they do."""

    def __init__(self, client: redis.Redis, count: int, worker_name: str, orders: Orders) -> None:
        super().__init__(client, count, worker_name)
        self._orders = orders
        self._in_batch = False

    def take(self, batch: int = BATCH) -> Held | None:
        held = super().take(batch)
        self._orders.look()
        if held is not None:
            self._in_batch = held.epoch is not None
            self._orders.reach(Point.CLAIMED)
        return held

    def hold(self, held: Held, *, epoch: int | None = None) -> bool:
        if epoch is not None:
            self._orders.reach(Point.TAKEN_OVER)
        kept = super().hold(held, epoch=epoch)
        # Without an epoch the lane is about to be taken over once more.
        self._in_batch = epoch is not None
        return kept

    def finish(self, held: Held, finish: Finish, batch: int = BATCH) -> bool:
        self._orders.reach(Point.COMMITTED)
        if self._orders.wants(Point.PUBLISHED):
            with self._client.pipeline(transaction=False) as pipe:
                for channel, payload in finish.publish:
                    pipe.publish(channel, payload)
                pipe.execute()
            finish = replace(finish, publish=[])
            self._orders.reach(Point.PUBLISHED)
        kept = super().finish(held, finish, batch)
        self._orders.reach(Point.FINISHED)
        if held.claims:
            self._orders.reach(Point.CLAIMED)
        return kept

    def about_to_take_over(self, connection: sqlalchemy.Connection) -> None:
        """Be told by the engine of a transaction that is about to be committed."""
        if connection.get_execution_options().get("chatq_write") and not self._in_batch:
            self._orders.reach(Point.TAKING_OVER)

    def commit_with(self, connection: sqlalchemy.Connection, writes: Sequence[Write]) -> None:
        """Do the last writes of a batch, and commit it."""
        self._orders.reach(Point.APPLIED)
        commit_with(connection, writes)


class StoppableRouter(Router):
    """A router with a point between looking and moving."""

    def __init__(self, client: redis.Redis, lanes: int, orders: Orders) -> None:
        super().__init__(client, lanes)
        self._orders = orders

    def _destination(self, data: bytes) -> tuple[str, bytes]:
        self._orders.reach(Point.ROUTING)
        return super()._destination(data)


def run() -> None:
    """Work until SIGTERM, until an order on stdin ends it, or until the test is gone."""
    try:
        _work()
    except ChatqError as error:
        print(error.detail, file=sys.stderr)
        sys.exit(error.exit_code)


def _work() -> None:
    orders = Orders(sys.stdin.fileno())
    settings = load({}, os.environ)
    services = prepare(settings, "worker")
    stop = StopSignal()
    stop.install()
    client = connect(services.redis_url)
    name = new_name("messages")
    lanes = StoppableLanes(client, settings.lanes, name, orders)
    event.listen(services.engine, "commit", lanes.about_to_take_over)
    batch.__dict__["commit_with"] = lanes.commit_with
    with translated(services.redis_url):
        registration = Registration(client, name, settings.lanes, partial(check_belonging, services))
    waiting = connect(services.redis_url, timeout=DOORBELL_SECONDS)
    # Batches are small, so that many are full and have the next one claimed ahead.
    worker = MessageWorker(client, waiting, services.engine, lanes, registration, batch=10)
    worker._router = StoppableRouter(client, settings.lanes, orders)
    worker.run(stop)
