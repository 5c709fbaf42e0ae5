"""Messages: send one, ask after it, change it, delete it."""

from __future__ import annotations

import msgspec
from flask import request
from msgspec import UNSET, UnsetType

from chatq.access.callers import Caller
from chatq.access.finding import Known, State, find
from chatq.access.rules import Rules, joins
from chatq.domain.jobs import (
    DeleteMessage,
    EditMessage,
    MessageJob,
    SendMessage,
    UpdateMessageStatus,
    check_message_job,
)
from chatq.domain.messages import Content, Message, Reached, check_new, check_size, max_document_bytes
from chatq.domain.wire import Wire, convert, decode, parse
from chatq.errors import FieldProblem, InvalidFields, MessageDeleted
from chatq.queue.intake import Intake
from chatq.web.accepted import accepted_answer
from chatq.web.answers import Answer, json_answer
from chatq.web.identity import caller
from chatq.web.requests import (
    KEY_HEADER,
    Environ,
    check_message_id,
    idempotency_key,
    read_body,
)
from chatq.web.services import Services


class NewContent(Wire):
    """What a message is to say from now on."""

    content: Content


class NewStatus(Wire):
    """How far the caller has come with a conversation."""

    status: Reached


class MessageStanding(Wire):
    """Where a message stands."""

    message_id: str
    state: State
    """``queued`` until it is stored; ``failed`` and ``expired`` only its sender sees."""
    message: Message | UnsetType = UNSET
    """Once it is stored."""
    error: str | UnsetType = UNSET
    """Why it failed."""


class Messages:
    """The routes under ``/api/messages``."""

    def __init__(self, services: Services, intake: Intake, rules: Rules) -> None:
        self._services = services
        self._intake = intake
        self._rules = rules
        self._max_content = services.settings.max_content_bytes
        self._max_body = max_document_bytes(self._max_content)

    def post(self, environ: Environ) -> Answer:
        """Accept a message; the database is asked only for a membership that is not known here.

        Raises:
            ChatqError: as the answer's problem document says it.
        """
        sender = caller(environ)
        job = read_message(read_body(environ, self._max_body), self._max_content, sender)
        self._rules.check_sending(sender, job.conversation_id)
        _fill_client_id(job, idempotency_key(environ))
        return accepted_answer(self._intake.accept(job, user=sender.counting_as(job.message_data.sender_id or "")))

    def show(self, message_id: str) -> Answer:
        """Tell what became of a message."""
        known = find(self._services.engine, self._services.redis, check_message_id(message_id))
        if known.state in {"failed", "expired"}:
            self._rules.check_learning_of_failure(caller(request.environ), known.author)
        else:
            self._rules.check_reading(caller(request.environ), known.conversation_id)
        return json_answer(
            MessageStanding(
                message_id=message_id,
                state=known.state,
                message=UNSET if known.message is None else known.message,
                error=UNSET if known.error is None else known.error,
            )
        )

    def change(self, message_id: str) -> Answer:
        """Accept new content for a message, or how far the caller has read."""
        check_message_id(message_id)
        environ = request.environ
        change = read_change(parse(read_body(environ, self._max_body)))
        who = caller(environ)
        key = _key_of(who, environ)
        if isinstance(change, NewContent):
            check_size(change.content, None, self._max_content)
        known = self._existing(message_id)
        job: MessageJob
        if isinstance(change, NewContent):
            self._rules.check_changing(who, known.conversation_id, known.author)
            if known.state == "deleted":
                raise MessageDeleted
            job = EditMessage(message_id=message_id, content=change.content, conversation_id=known.conversation_id)
        else:
            user = who.acting_as(None)
            self._rules.check_marking(who, known.conversation_id, user)
            job = UpdateMessageStatus(
                message_id=message_id,
                status=change.status,
                user_id=user,
                conversation_id=known.conversation_id,
                joins=joins(who),
            )
        return accepted_answer(self._intake.accept(job, key, user=_counting(who)), "change")

    def delete(self, message_id: str) -> Answer:
        """Accept that a message is deleted; a second time has no effect."""
        check_message_id(message_id)
        who = caller(request.environ)
        key = _key_of(who, request.environ)
        known = self._existing(message_id)
        self._rules.check_changing(who, known.conversation_id, known.author)
        job = DeleteMessage(message_id=message_id, conversation_id=known.conversation_id)
        return accepted_answer(self._intake.accept(job, key, user=_counting(who)), "deletion")

    def _existing(self, message_id: str) -> Known:
        return find(self._services.engine, self._services.redis, message_id, failed=False)


def read_change(document: object) -> NewContent | NewStatus:
    """Return what a PATCH asks for.

    Raises:
        InvalidFields: it asks for neither of the two, for both, or for what cannot be.
    """
    if isinstance(document, dict):
        if "content" in document and "status" in document:
            raise InvalidFields(
                [FieldProblem("", "content and status are two changes: send a request for each of them")]
            )
        if "status" in document:
            return convert(document, NewStatus)
        if "content" not in document:
            raise InvalidFields([FieldProblem("", "content or status is missing")])
    return convert(document, NewContent)


def read_message(body: bytes | msgspec.Raw, max_content_bytes: int, sender: Caller) -> SendMessage:
    """Return the message that ``sender`` sends.

    Raises:
        RequestRefused: it cannot be sent.
    """
    job = decode(bytes(body), SendMessage)
    data = job.message_data
    check_new(data, max_content_bytes)
    if job.expires_at is not None:
        check_message_job(job)
    if job.joins is not None:
        raise InvalidFields([FieldProblem("joins", "is not a known field")])
    data.sender_id = sender.acting_as(data.sender_id)
    job.joins = joins(sender)
    return job


def _counting(who: Caller) -> str:
    return who.counting_as(who.acting_as(None))


def _key_of(who: Caller, environ: Environ) -> str | None:
    """Return the id under which a caller repeats a change; two callers may well choose the same."""
    key = idempotency_key(environ)
    return None if key is None else f"{who.acting_as(None)}/{key}"


def _fill_client_id(job: SendMessage, key: str | None) -> None:
    data = job.message_data
    if data.client_message_id is None:
        data.client_message_id = key
    elif key is not None and key != data.client_message_id:
        raise InvalidFields([FieldProblem(KEY_HEADER, "differs from messageData.clientMessageId")])
