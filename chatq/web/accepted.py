"""The answer to a job that was accepted."""

from __future__ import annotations

from chatq.domain.wire import Wire, encode
from chatq.queue.edge import Accepted
from chatq.web.answers import Answer, status_line
from chatq.web.quota import usage_headers

_ACCEPTED = status_line(202)


class AcceptedDocument(Wire):
    """The promise that something is done."""

    status: str
    """What is queued, in words."""
    message: str
    """The same in a sentence."""
    message_id: str
    job_id: str
    """Of the job that does it; of a new message it is the message's own id."""
    status_url: str
    """Where it is told what became of the message."""


def accepted_answer(accepted: Accepted, what: str = "message") -> Answer:
    """Return the 202 that promises that ``what`` is done."""
    url, body = status_url(accepted), encode(accepted_document(accepted, what))
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Location", url)]
    if accepted.usage is not None:
        headers += usage_headers(accepted.usage)
    return Answer(_ACCEPTED, headers, body)


def accepted_document(accepted: Accepted, what: str = "message") -> AcceptedDocument:
    """Return what that answer says."""
    return AcceptedDocument(
        status=f"{what.capitalize()} queued",
        message=f"Your {what} is being processed",
        message_id=accepted.message_id,
        job_id=accepted.job_id,
        status_url=status_url(accepted),
    )


def status_url(accepted: Accepted) -> str:
    """Return where the client sees what became of its message."""
    return f"/api/messages/{accepted.message_id}"
