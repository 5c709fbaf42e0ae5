"""The answer to a job that was accepted."""

from __future__ import annotations

from chatq.queue.edge import Accepted
from chatq.web.answers import Answer, status_line
from chatq.web.quota import usage_headers

_ACCEPTED = status_line(202)


def accepted_answer(accepted: Accepted, what: str = "message") -> Answer:
    """Return the 202 that promises that ``what`` is done; ids need no escaping in JSON."""
    url, body = status_url(accepted), accepted_document(accepted, what)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Location", url)]
    if accepted.usage is not None:
        headers += usage_headers(accepted.usage)
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
