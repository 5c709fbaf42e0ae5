"""Conversations: the caller's list, one with everybody in it, new ones, and pages of messages."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import msgspec
from flask import request

from chatq.access.rules import Rules
from chatq.domain.clock import timestamp
from chatq.domain.messages import CONTENT_PATTERN, Message, find_content_problem
from chatq.domain.wire import EXPLAIN, ClientId, Timestamp, Wire, decode
from chatq.errors import ConversationExists, FieldProblem, InvalidFields, UnknownConversation
from chatq.store import members
from chatq.store.history import read_page
from chatq.store.inbox import list_conversations
from chatq.store.members import Details, Member, Role
from chatq.web.answers import Answer, json_answer
from chatq.web.identity import caller
from chatq.web.requests import check_client_id, read_body, read_numbers
from chatq.web.services import Services

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_TITLE = 200
MAX_MEMBERS = 1000
MAX_BODY_BYTES = 256 * 1024


class NewConversation(Wire):
    """What a conversation is to be; its maker is its owner."""

    id: ClientId | None = None
    """By default a new one."""
    title: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1,
                max_length=MAX_TITLE,
                pattern=CONTENT_PATTERN,
                description=f"1 to {MAX_TITLE} characters that are not all white space, without NUL",
                extra={EXPLAIN: find_content_problem},
            ),
        ]
        | None
    ) = None
    members: Annotated[
        list[ClientId],
        msgspec.Meta(max_length=MAX_MEMBERS, description=f"a list of at most {MAX_MEMBERS} ids of users"),
    ] = msgspec.field(default_factory=list)
    """Who is in it beside the caller."""


class MemberDocument(Wire):
    """Who is in a conversation, and how far they have come."""

    user_id: str
    role: Role
    delivered_seq: int
    """They have received every message up to this number."""
    read_seq: int
    """They have read every message up to this number."""
    joined_at: Timestamp


class _Conversation(Wire):
    id: str
    title: str | None
    last_seq: int
    """Number of the newest event; 0 if there is none."""
    last_message: Message | None
    """The newest that is not deleted."""
    last_message_at: Timestamp | None
    """When that was stored."""
    created_at: Timestamp | None
    """``null`` in development mode of a conversation that does not exist yet."""


class ListedConversation(_Conversation):
    """A conversation as the caller sees it in a list."""

    unread_count: int
    """How many of the newest 500 messages are others' and the caller has not read."""


class ConversationDocument(_Conversation):
    """A conversation with everybody in it."""

    members: list[MemberDocument]
    """Owners first, each group by the time of joining."""


class ConversationList(Wire):
    """The caller's conversations, newest activity first."""

    conversations: list[ListedConversation]


class MessagePage(Wire):
    """Some of a conversation's messages, one after the other."""

    messages: list[Message]
    """Oldest first."""
    next_before: int | None
    """For ``before``, to get the page of what is older; ``null`` if there is nothing."""
    next_after: int | None
    """For ``after``, to get the page of what is newer; ``null`` if there is nothing yet."""
    seq: int
    """Number of the event up to which the page is true; ``join`` with it as ``since`` to hear all that follows."""


class Conversations:
    """The routes under ``/api/conversations``, but for those of single members."""

    def __init__(self, services: Services, rules: Rules) -> None:
        self._engine = services.engine
        self._rules = rules

    def index(self) -> Answer:
        """List the caller's conversations, newest activity first."""
        user = caller(request.environ).acting_as(None)
        found = [
            ListedConversation(
                id=view.id,
                title=view.title,
                last_seq=view.last_seq,
                last_message=view.last_message,
                last_message_at=view.last_message_at,
                unread_count=view.unread_count,
                created_at=view.created_at,
            )
            for view in list_conversations(self._engine, user)
        ]
        return json_answer(ConversationList(conversations=found))

    def create(self) -> Answer:
        """Create a conversation, with the caller as its owner; one that the caller owns already stays as it is.

        Raises:
            ConversationExists: the caller does not own it.
        """
        new = decode(read_body(request.environ, MAX_BODY_BYTES), NewConversation)
        owner = caller(request.environ).acting_as(None)
        id_ = new.id or str(uuid4())
        is_new = members.create_conversation(
            self._engine, id_, owner, title=new.title, others=new.members, now=timestamp()
        )
        details = members.find_details(self._engine, id_)
        if details is None:
            raise UnknownConversation
        if not is_new and not any(member.user_id == owner and member.role == "owner" for member in details.members):
            raise ConversationExists
        location = ("Location", f"/api/conversations/{id_}")
        return json_answer(_document(details), 201 if is_new else 200, headers=[location])

    def show(self, conversation_id: str) -> Answer:
        """Tell of a conversation and everybody in it."""
        check_client_id("conversationId", conversation_id)
        self._rules.check_reading(caller(request.environ), conversation_id)
        details = members.find_details(self._engine, conversation_id)
        return json_answer(_nothing_yet(conversation_id) if details is None else _document(details))

    def page(self, conversation_id: str) -> Answer:
        """Return a page of a conversation's messages; one that does not exist yet is empty."""
        check_client_id("conversationId", conversation_id)
        numbers = read_numbers(request.args, ("before", "after", "limit"))
        limit = numbers.get("limit", DEFAULT_LIMIT)
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidFields([FieldProblem("limit", f"must be a whole number from 1 to {MAX_LIMIT}")])
        self._rules.check_reading(caller(request.environ), conversation_id)
        page = read_page(
            self._engine, conversation_id, before=numbers.get("before"), after=numbers.get("after"), limit=limit
        )
        return json_answer(
            MessagePage(messages=page.messages, next_before=page.next_before, next_after=page.next_after, seq=page.seq)
        )


def describe_member(member: Member) -> MemberDocument:
    """Return a member as clients see it."""
    return MemberDocument(
        user_id=member.user_id,
        role=member.role,
        delivered_seq=member.delivered_seq,
        read_seq=member.read_seq,
        joined_at=member.joined_at,
    )


def _document(details: Details) -> ConversationDocument:
    return ConversationDocument(
        id=details.id,
        title=details.title,
        last_seq=details.last_seq,
        last_message=details.last_message,
        last_message_at=details.last_message_at,
        created_at=details.created_at,
        members=[describe_member(member) for member in details.members],
    )


def _nothing_yet(conversation_id: str) -> ConversationDocument:
    """Return what development mode says of a conversation that does not exist yet: only there it is asked after."""
    return ConversationDocument(
        id=conversation_id,
        title=None,
        last_seq=0,
        last_message=None,
        last_message_at=None,
        created_at=None,
        members=[],
    )
