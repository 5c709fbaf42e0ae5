"""One example of each wire type, for the documents: what a client may send as it stands, and what it may get."""

from __future__ import annotations

from typing import Any

import msgspec

from chatq.domain import events
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import Message, MessageData
from chatq.errors import FieldProblem, InvalidFields
from chatq.realtime import client_frames, server_frames
from chatq.web.accepted import AcceptedDocument
from chatq.web.batch import BatchDocument, MessageBatch
from chatq.web.conversations import (
    ConversationDocument,
    ConversationList,
    ListedConversation,
    MemberDocument,
    MessagePage,
    NewConversation,
)
from chatq.web.health import Liveness, Readiness
from chatq.web.jobs import JobDocument
from chatq.web.members import Membership
from chatq.web.messages import MessageStanding, NewContent, NewStatus
from chatq.web.problems import describe
from chatq.web.schemas import Schema

CONVERSATION_ID, _ALICE, USER_ID = "general", "alice", "bob"
_THEN, _NOW = "2026-01-15T09:29:58.120Z", "2026-01-15T09:30:00.250Z"
MESSAGE_ID = "019bc0f4-9d3a-7a1c-8f5e-2b6d0c4e8a10"
_TEXT = "hello, world"

_data = MessageData(content=_TEXT)
_send = SendMessage(conversation_id=CONVERSATION_ID, message_data=_data)
_message = Message(
    id=MESSAGE_ID, conversation_id=CONVERSATION_ID, seq=41, sender_id=_ALICE, client_message_id=None,
    content=_TEXT, metadata=None, status="sent", created_at=_THEN, persisted_at=_NOW, edited_at=None, deleted_at=None,
)  # fmt: skip
_edited = msgspec.structs.replace(_message, content="hello, everybody", edited_at=_NOW)
_accepted = AcceptedDocument(
    status="Message queued", message="Your message is being processed", message_id=MESSAGE_ID, job_id=MESSAGE_ID,
    status_url=f"/api/messages/{MESSAGE_ID}",
)  # fmt: skip
_problem = describe(InvalidFields([FieldProblem("messageData.content", "is missing")]), "POST")
_member = MemberDocument(user_id=_ALICE, role="owner", delivered_seq=41, read_seq=41, joined_at=_THEN)
_listed = ListedConversation(
    id=CONVERSATION_ID, title="General", last_seq=41, last_message=_message, last_message_at=_NOW, created_at=_THEN,
    unread_count=1,
)  # fmt: skip
_conversation = ConversationDocument(
    id=CONVERSATION_ID, title="General", last_seq=41, last_message=_message, last_message_at=_NOW, created_at=_THEN,
    members=[_member],
)  # fmt: skip

_OVER_HTTP: tuple[object, ...] = (
    _data,
    _send,
    _message,
    _accepted,
    _problem,
    FieldProblem("messageData.content", "is missing"),
    MessageBatch(messages=[msgspec.Raw(msgspec.json.encode(_send))]),
    BatchDocument(results=[_accepted, _problem]),
    MessageStanding(message_id=MESSAGE_ID, state="persisted", message=_message),
    NewContent(content="hello, everybody"),
    NewStatus(status="read"),
    NewConversation(id=CONVERSATION_ID, title="General", members=[USER_ID]),
    _member,
    _listed,
    _conversation,
    ConversationList(conversations=[_listed]),
    MessagePage(messages=[_message], next_before=41, next_after=None, seq=41),
    Membership(role="member"),
    JobDocument(
        job_id=MESSAGE_ID, name="sendMessage", state="finished", attempts=None, created_at=None, enqueued_at=None,
        started_at=None, ended_at=_NOW, error=None,
    ),
    Liveness(status="ok"),
    Readiness(redis="ok", database="ok"),
)  # fmt: skip
_OVER_THE_SOCKET: tuple[object, ...] = (
    client_frames.Auth(ref="1", token="eyJhbGciOiJIUzI1NiJ9…"),  # noqa: S106  # it is none
    client_frames.DevelopmentAuth(ref="1", user_id=_ALICE),
    client_frames.Join(ref="2", conversation_id=CONVERSATION_ID, since=0),
    client_frames.Send(ref="3", conversation_id=CONVERSATION_ID, message_data=_data),
    client_frames.Mark(ref="4", message_id=MESSAGE_ID, status="read"),
    client_frames.Type(ref="5", conversation_id=CONVERSATION_ID, active=True),
    client_frames.Ping(ref="6"),
    client_frames.Leave(ref="7", conversation_id=CONVERSATION_ID),
    server_frames.Hello(connection_id="5a1f0a7c-58f5-4c5e-9d0e-0c8a2f4f6b11", heartbeat_seconds=25, auth_required=True),
    server_frames.Authenticated(user_id=_ALICE),
    server_frames.Joined(conversation_id=CONVERSATION_ID, seq=41, recovered=True),
    server_frames.Left(conversation_id=CONVERSATION_ID),
    server_frames.Accepted(ref="3", message_id=MESSAGE_ID, job_id=MESSAGE_ID),
    server_frames.Error(code="invalid-fields", detail="conversationId: is missing", ref="2"),
    server_frames.Pong(seqs={CONVERSATION_ID: 41}),
    server_frames.Typing(conversation_id=CONVERSATION_ID, user_id=USER_ID, active=True),
    server_frames.Presence(conversation_id=CONVERSATION_ID, user_id=USER_ID, online=True),
    events.NewMessage(conversation_id=CONVERSATION_ID, seq=41, message=_message),
    events.MessageEdited(conversation_id=CONVERSATION_ID, seq=42, message=_edited),
    events.MessageDeleted(conversation_id=CONVERSATION_ID, seq=43, message_id=MESSAGE_ID),
    events.MessageStatus(
        conversation_id=CONVERSATION_ID, seq=44, message_id=MESSAGE_ID, status="read", user_id=USER_ID
    ),
    events.MessageFailed(message_id=MESSAGE_ID, client_message_id=None, reason="The message could not be stored."),
)
_EXAMPLES = {type(example).__name__: example for example in _OVER_HTTP + _OVER_THE_SOCKET}


def add_examples(schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Return schemas with an example in each, by the name of its type."""
    return {name: {**schema, "examples": [_plain(_EXAMPLES[name])]} for name, schema in schemas.items()}


def _plain(example: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(example))
