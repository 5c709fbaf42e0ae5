"""What a client is told whose request gunicorn's parser could not make out: a problem, as by everything else."""

from __future__ import annotations

import structlog
from gunicorn.http import errors as parsing

from chatq.errors import ChatqError, RequestRefused, TooLarge
from chatq.web.answers import Answer
from chatq.web.problems import problem

MAX_DETAIL = 300
"""So much of what is wrong is quoted: it is the client's own, and may be long."""

_TOO_LONG = (parsing.LimitRequestLine, parsing.LimitRequestHeaders)
_OUR_OWN = (parsing.ConfigurationProblem, parsing.InvalidResponseHeader, parsing.InvalidResponseHeaderName)

log = structlog.get_logger("chatq.web")


def answer_unreadable(error: BaseException) -> Answer:
    """Return the answer to a request that ended in ``error`` outside of the application."""
    if isinstance(error, parsing.ParseException) and not isinstance(error, _OUR_OWN):
        log.info("request refused", reason=str(error)[:MAX_DETAIL])
        kind = TooLarge if isinstance(error, _TOO_LONG) else RequestRefused
        return problem(kind(f"The request cannot be read: {str(error)[:MAX_DETAIL]}"), "GET")
    # What is no Exception asks this process, or the greenlet, to end.
    return problem(error if isinstance(error, Exception) else ChatqError("The server had to end."), "GET")
