"""Conversations: the caller's list, and pages of messages."""

from __future__ import annotations

from typing import Any

from flask import request

from chatq.domain.messages import Message
from chatq.domain.wire import Wire
from chatq.errors import FieldProblem, InvalidFields
from chatq.store import reads
from chatq.web.answers import Answer, json_answer
from chatq.web.identity import caller
from chatq.web.requests import check_client_id, read_numbers
from chatq.web.services import Services

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class ConversationDocument(Wire):
    """A conversation as the caller sees it."""

    id: str
    title: str | None
    last_seq: int
    last_message: Message | None
    last_message_at: str | None
    unread_count: int
    created_at: str


class Conversations:
    """The routes under ``/api/conversations``."""

    def __init__(self, services: Services) -> None:
        self._engine = services.engine

    def index(self) -> Answer:
        """List the caller's conversations, newest activity first."""
        user = caller(request.environ).acting_as(None)
        found = [
            ConversationDocument(
                id=view.id,
                title=view.title,
                last_seq=view.last_seq,
                last_message=view.last_message,
                last_message_at=view.last_message_at,
                unread_count=view.unread_count,
                created_at=view.created_at,
            )
            for view in reads.list_conversations(self._engine, user)
        ]
        return json_answer({"conversations": found})

    def page(self, conversation_id: str) -> Answer:
        """Return a page of a conversation's messages; one that does not exist yet is empty."""
        check_client_id("conversationId", conversation_id)
        numbers = read_numbers(request.args, ("before", "after", "limit"))
        limit = numbers.get("limit", DEFAULT_LIMIT)
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidFields([FieldProblem("limit", f"must be a whole number from 1 to {MAX_LIMIT}")])
        page = reads.read_page(
            self._engine, conversation_id, before=numbers.get("before"), after=numbers.get("after"), limit=limit
        )
        document: dict[str, Any] = {
            "messages": page.messages,
            "nextBefore": page.next_before,
            "nextAfter": page.next_after,
            "seq": page.seq,
        }
        return json_answer(document)
