"""Where requests and sockets hand their jobs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from chatq.domain.jobs import MessageJob
from chatq.errors import ChatqError
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.edge import Accepted, Edge


class Intake:
    """Accepts jobs; the edge is opened with the first one, so that a process can start while Redis is away."""

    def __init__(self, open_edge: Callable[[], Edge], lanes: int) -> None:
        self._open_edge = open_edge
        self._lanes = lanes
        self._edge: Edge | None = None
        self._opening = Lock()

    def prepare(self, job: MessageJob, client_id: str | None = None, *, user: str = "") -> QueuedJob:
        """Return a job as it is queued.

        ``client_id`` is the id under which a job about a message may be repeated; ``user`` is whose limit it counts
        against, if anybody's.
        """
        return prepare(job, self._lanes, client_id=client_id, user=user)

    def accept(self, job: MessageJob, client_id: str | None = None, *, user: str = "") -> Accepted:
        """Accept a job, once.

        Raises:
            IdempotencyMismatch: the id was used for something else.
            RateLimited: the user has sent too many of late.
            RedisError: the job could not be accepted, or it is unknown whether it was.
        """
        return (self._edge or self._open()).submit(self.prepare(job, client_id, user=user))

    def accept_many(self, jobs: Sequence[QueuedJob]) -> list[Accepted | ChatqError]:
        """Accept jobs in their order; for each, say how it was accepted or why not.

        Raises:
            RedisError: none could be accepted, or it is unknown which were.
        """
        return (self._edge or self._open()).submit_many(jobs)

    def _open(self) -> Edge:
        with self._opening:
            if self._edge is None:
                self._edge = self._open_edge()
            return self._edge
