"""Jobs that sockets hand in: taken to the edge together, answered as they were handed in.

No socket waits for another's, or for Redis: its greenlet reads on while its jobs are on their way. Each
socket's jobs keep their order, and so do all of this process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gevent
import structlog
from msgspec import UNSET

from chatq.domain.wire import encode
from chatq.errors import ChatqError, RateLimited
from chatq.queue.codec import QueuedJob
from chatq.queue.edge import Accepted
from chatq.realtime import server_frames
from chatq.realtime.connection import Connection
from chatq.realtime.framing import CloseCode, text_frame

JOBS_AT_ONCE = 1000
"""About how many jobs go to the edge together."""
MAX_WEIGHT = 256
"""How much one socket may have in hand before it is read on: so many jobs of less than a kilobyte."""

log = structlog.get_logger("chatq.realtime")


class Order(NamedTuple):
    """A job that frames ask for."""

    refs: Sequence[str | None]
    """Of all these frames."""
    job: QueuedJob
    answered: bool
    """Whether the client is told that it was accepted; that it was not, it is told in any case."""


class _Parcel(NamedTuple):
    connection: Connection
    orders: Sequence[Order]
    weight: int


class Sending:
    """Takes the jobs of all sockets of this process to the edge."""

    def __init__(self, accept: Callable[[Sequence[QueuedJob]], Sequence[Accepted | ChatqError]]) -> None:
        """Take what accepts jobs in their order, or raises."""
        self._accept = accept
        self._parcels: deque[_Parcel] = deque()
        self._carrier: gevent.Greenlet | None = None
        """There only while something waits."""

    def hand_in(self, connection: Connection, orders: Sequence[Order]) -> None:
        """Have jobs accepted, in this order and after all that were handed in before, and answered.

        Waits only while the connection has too much in hand.
        """
        weight = sum(1 + len(order.job.data) // 1024 for order in orders)
        connection.owe(weight)
        self._parcels.append(_Parcel(connection, orders, weight))
        if self._carrier is None:
            self._carrier = gevent.spawn(self._carry)
        connection.wait_until_settled(MAX_WEIGHT)

    def _carry(self) -> None:
        try:
            while self._parcels:
                self._carry_some(self._take())
        finally:
            self._carrier = None

    def _take(self) -> list[_Parcel]:
        parcels: list[_Parcel] = []
        count = 0
        while self._parcels and count < JOBS_AT_ONCE:
            parcels.append(self._parcels.popleft())
            count += len(parcels[-1].orders)
        return parcels

    def _carry_some(self, parcels: list[_Parcel]) -> None:
        jobs = [order.job for parcel in parcels for order in parcel.orders]
        outcomes: Sequence[Accepted | ChatqError]
        try:
            outcomes = self._accept(jobs)
        except ChatqError as error:
            outcomes = [error] * len(jobs)
        except Exception:
            log.exception("unforeseen error while jobs of sockets were being accepted")
            for parcel in parcels:
                parcel.connection.settle(parcel.weight, b"")
                parcel.connection.close(CloseCode.FAULT, "something went wrong on the server")
            return
        at = 0
        for connection, orders, weight in parcels:
            frames = [_answer(order, outcomes[at + i]) for i, order in enumerate(orders)]
            connection.settle(weight, b"".join(frames))
            at += len(orders)


def _answer(order: Order, outcome: Accepted | ChatqError) -> bytes:
    if isinstance(outcome, ChatqError):
        return b"".join(error_frame(outcome, ref) for ref in order.refs)
    if not order.answered:
        return b""
    ref = order.refs[0] or ""
    return text_frame(encode(server_frames.Accepted(ref=ref, message_id=outcome.message_id, job_id=outcome.job_id)))


def error_frame(error: ChatqError, ref: object) -> bytes:
    """Return what a client is told of an error that its frame met; ``ref`` as far as the client gave one."""
    frame = server_frames.Error(
        code=error.code,
        detail=error.detail,
        retry_after=error.retry_after if isinstance(error, RateLimited) else UNSET,
        ref=ref[:128] if isinstance(ref, str) else UNSET,
    )
    return text_frame(encode(frame))
