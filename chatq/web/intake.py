"""Where requests hand their jobs in."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from chatq.domain.jobs import MessageJob
from chatq.errors import ChatqError
from chatq.queue.codec import prepare
from chatq.queue.edge import Accepted, Edge
from chatq.web.answers import Answer, status_line
from chatq.web.services import Services

_ACCEPTED = status_line(202)


class Intake:
    """Accepts jobs; the edge is opened with the first one, so that a process can start while Redis is away."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lanes = services.settings.lanes
        self._edge: Edge | None = None
        self._opening = Lock()

    def accept(self, job: MessageJob, client_id: str | None = None) -> Accepted:
        """Accept a job, once; ``client_id`` is the id under which a job about a message may be repeated.

        Raises:
            IdempotencyMismatch: the id was used for something else.
            RedisError: the job could not be accepted, or it is unknown whether it was.
        """
        return (self._edge or self._open()).submit(prepare(job, self._lanes, client_id=client_id))

    def accept_many(self, jobs: Sequence[MessageJob]) -> list[Accepted | ChatqError]:
        """Accept jobs in their order; for each, say how it was accepted or why not.

        Raises:
            RedisError: none could be accepted, or it is unknown which were.
        """
        return (self._edge or self._open()).submit_many([prepare(job, self._lanes) for job in jobs])

    def _open(self) -> Edge:
        with self._opening:
            if self._edge is None:
                self._edge = self._services.edge()
            return self._edge


def accepted_answer(accepted: Accepted, what: str = "message") -> Answer:
    """Return the 202 that promises that ``what`` is done; ids need no escaping in JSON."""
    url, body = status_url(accepted), accepted_document(accepted, what)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Location", url)]
    return Answer(_ACCEPTED, headers, body)


def accepted_document(accepted: Accepted, what: str = "message") -> bytes:
    """Return the JSON of that answer."""
    return (
        f'{{"status":"{what.capitalize()} queued","message":"Your {what} is being processed",'
        f'"messageId":"{accepted.message_id}","jobId":"{accepted.job_id}","statusUrl":"{status_url(accepted)}"}}'
    ).encode()


def status_url(accepted: Accepted) -> str:
    """Return where the client sees what became of its message."""
    return f"/api/messages/{accepted.message_id}"
