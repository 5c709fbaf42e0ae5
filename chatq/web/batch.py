"""Many messages in one request: each is accepted or refused by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import gevent
import msgspec
from flask import request

from chatq.access.callers import Caller
from chatq.access.rules import Rules
from chatq.domain.jobs import SendMessage
from chatq.domain.wire import Wire, decode
from chatq.errors import ChatqError, FieldProblem, InvalidFields, RateLimited, RequestRefused
from chatq.queue.codec import QueuedJob
from chatq.queue.edge import Accepted
from chatq.queue.intake import Intake
from chatq.web import problems
from chatq.web.accepted import AcceptedDocument, accepted_document
from chatq.web.answers import Answer, Header, json_answer
from chatq.web.identity import caller
from chatq.web.messages import read_message
from chatq.web.problems import ProblemDocument
from chatq.web.quota import refusal_headers, usage_headers
from chatq.web.requests import KEY_HEADER, read_body
from chatq.web.schemas import ref
from chatq.web.services import Services

MAX_MESSAGES = 1000
MAX_BODY_BYTES = 16 << 20


class MessageBatch(Wire):
    """Messages to send; what each of them must look like is said of each by itself."""

    messages: Annotated[
        list[Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=ref(SendMessage))]],
        msgspec.Meta(min_length=1, max_length=MAX_MESSAGES, description=f"a list of 1 to {MAX_MESSAGES} messages"),
    ]
    """Each as one would send it alone."""


class BatchDocument(Wire):
    """What became of each message of a batch."""

    results: list[
        Annotated[Any, msgspec.Meta(extra_json_schema={"anyOf": [ref(AcceptedDocument), ref(ProblemDocument)]})]
    ]
    """In the order of the messages: for each what it would have been answered alone."""


class Batch:
    """The route ``/api/messages/batch``."""

    def __init__(self, services: Services, intake: Intake, rules: Rules) -> None:
        self._intake = intake
        self._rules = rules
        self._max_content = services.settings.max_content_bytes

    def post(self) -> Answer:
        """Accept messages in their order, and answer for each, in the same order, with a 202's fields or a problem.

        Raises:
            ChatqError: nothing was accepted, or it is unknown what was.
        """
        environ = request.environ
        if KEY_HEADER in request.headers:
            raise InvalidFields([FieldProblem(KEY_HEADER, "is for one message: give each a clientMessageId")])
        batch = decode(read_body(environ, MAX_BODY_BYTES), MessageBatch)
        read = [self._read(raw, caller(environ)) for raw in batch.messages]
        outcomes = self._intake.accept_many(
            [self._prepare(job, caller(environ)) for job in read if isinstance(job, SendMessage)]
        )
        following = iter(outcomes)
        results = [self._result(job if isinstance(job, ChatqError) else next(following)) for job in read]
        return json_answer(BatchDocument(results=results), 202, headers=_quota_headers(outcomes))

    def _read(self, raw: msgspec.Raw, sender: Caller) -> SendMessage | RequestRefused:
        try:
            job = read_message(raw, self._max_content, sender)
            self._rules.check_sending(sender, job.conversation_id)
        except RequestRefused as error:
            # To refuse takes longer than to accept, and a thousand times is too long for others to wait.
            gevent.sleep(0)
            return error
        return job

    def _prepare(self, job: SendMessage, sender: Caller) -> QueuedJob:
        return self._intake.prepare(job, user=sender.counting_as(job.message_data.sender_id or ""))

    def _result(self, outcome: Accepted | ChatqError) -> AcceptedDocument | ProblemDocument:
        if isinstance(outcome, ChatqError):
            return problems.describe(outcome, "POST")
        return accepted_document(outcome)


def _quota_headers(outcomes: Sequence[Accepted | ChatqError]) -> list[Header]:
    """Return what is left to whoever has least left: in development mode a batch may come from several users."""
    refusals = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    if refusals:
        return refusal_headers(max(refusals, key=lambda refusal: refusal.retry_after))
    usages = [outcome.usage for outcome in outcomes if isinstance(outcome, Accepted) and outcome.usage is not None]
    return usage_headers(min(usages, key=lambda usage: usage.remaining)) if usages else []
