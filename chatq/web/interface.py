"""The HTTP interface, all that can be asked: one table, from which both the routes and ``/openapi.json`` are made."""

from __future__ import annotations

from typing import Annotated

import msgspec

from chatq import errors
from chatq.domain.jobs import SendMessage
from chatq.domain.wire import ClientId, MessageId
from chatq.web.accepted import AcceptedDocument
from chatq.web.batch import BatchDocument, MessageBatch
from chatq.web.conversations import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    ConversationDocument,
    ConversationList,
    MemberDocument,
    MessagePage,
    NewConversation,
)
from chatq.web.examples import CONVERSATION_ID, MESSAGE_ID, USER_ID
from chatq.web.explanations import EXPLANATIONS
from chatq.web.health import Liveness, Readiness
from chatq.web.jobs import JobDocument
from chatq.web.members import Membership
from chatq.web.messages import MessageStanding, NewContent, NewStatus
from chatq.web.operation import HTML, JSON, SCRIPT, Operation, Parameter, Reply
from chatq.web.requests import JOB_ID_PATTERN, KEY_HEADER

_REDIS = (errors.RedisError,)
_DATABASE = (errors.DatabaseError,)
_QUEUE = (errors.RedisError, errors.DurabilityUnknown, errors.Overloaded, errors.RateLimited)
_CONVERSATION = (errors.UnknownConversation, *_DATABASE)
_MESSAGE = (errors.UnknownMessage, *_CONVERSATION)

_MESSAGE_ID = Parameter("path", "messageId", MessageId, "The message, as its 202 named it.", MESSAGE_ID)
_CONVERSATION_ID = Parameter("path", "conversationId", ClientId, "The conversation.", CONVERSATION_ID)
_USER_ID = Parameter("path", "userId", ClientId, "The user.", USER_ID)
_JOB_ID = Parameter("path", "jobId", Annotated[str, msgspec.Meta(pattern=JOB_ID_PATTERN)], "The job.", MESSAGE_ID)
_KEY = Parameter(
    "header", KEY_HEADER, ClientId,
    "An id under which this request may be repeated without a second effect. It may stand in quotation marks.",
)  # fmt: skip
_Code = Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(EXPLANATIONS)})]
_Number = Annotated[int, msgspec.Meta(ge=0, le=10**18 - 1)]
_PAGING = (
    Parameter("query", "before", _Number, "Only messages whose `seq` is lower; the newest of them."),
    Parameter("query", "after", _Number, "Only messages whose `seq` is higher; the oldest of them."),
    Parameter(
        "query", "limit", Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)], f"How many; by default {DEFAULT_LIMIT}."
    ),
)

_QUOTA = ("RateLimit", "RateLimit-Policy")


def _accepted(meaning: str) -> Reply:
    return Reply(202, meaning, AcceptedDocument, ("Location", *_QUOTA))


OPERATIONS = (
    Operation(
        "sendMessage", "POST", "/api/messages", "Messages", "Send a message",
        (_accepted("It is queued, and kept from now on, whatever happens."),),
        (*_QUEUE, errors.IdempotencyMismatch, *_CONVERSATION), (_KEY,), (SendMessage,),
        about="Its `messageId` says later what became of it. With a `clientMessageId`, or an `Idempotency-Key`, it may "
        "be sent again: a repeat gets the same answer, and has no second effect.",
    ),
    Operation(
        "sendMessages", "POST", "/api/messages/batch", "Messages", "Send up to 1000 messages",
        (Reply(202, "What became of each, in the order in which they were sent.", BatchDocument, _QUOTA),),
        (*_QUEUE, *_CONVERSATION), body=(MessageBatch,),
        about="Each is accepted or refused by itself: one that is refused does not stop the rest.",
    ),
    Operation(
        "getMessage", "GET", "/api/messages/{messageId}", "Messages", "Ask what became of a message",
        (Reply(200, "Where it stands.", MessageStanding),), (*_REDIS, *_MESSAGE), (_MESSAGE_ID,),
    ),
    Operation(
        "changeMessage", "PATCH", "/api/messages/{messageId}", "Messages", "Edit a message, or say that it was read",
        (_accepted("The change is queued."),),
        (*_QUEUE, errors.IdempotencyMismatch, errors.MessageDeleted, *_MESSAGE), (_MESSAGE_ID, _KEY),
        (NewContent, NewStatus),
        about="With `content`, it says something else from now on. With `status`, the caller has received, or read, "
        "everything in the conversation up to this message.",
    ),
    Operation(
        "deleteMessage", "DELETE", "/api/messages/{messageId}", "Messages", "Delete a message",
        (_accepted("The deletion is queued."),), (*_QUEUE, errors.IdempotencyMismatch, *_MESSAGE), (_MESSAGE_ID, _KEY),
        about="Its content is erased, from earlier events too; a tombstone stays. A second time has no effect.",
    ),
    Operation(
        "listConversations", "GET", "/api/conversations", "Conversations", "List the caller's conversations",
        (Reply(200, "Up to 200, newest activity first.", ConversationList),), _DATABASE,
    ),
    Operation(
        "createConversation", "POST", "/api/conversations", "Conversations", "Create a conversation",
        (
            Reply(201, "It is there, and the caller its owner.", ConversationDocument, ("Location",)),
            Reply(200, "The caller owns it already; it stays as it is.", ConversationDocument, ("Location",)),
        ),
        (errors.ConversationExists, *_DATABASE), body=(NewConversation,),
    ),
    Operation(
        "getConversation", "GET", "/api/conversations/{conversationId}", "Conversations",
        "Show a conversation and who is in it", (Reply(200, "The conversation.", ConversationDocument),),
        _CONVERSATION, (_CONVERSATION_ID,),
    ),
    Operation(
        "listMessages", "GET", "/api/conversations/{conversationId}/messages", "Conversations",
        "Read a page of messages", (Reply(200, "The page.", MessagePage),), _CONVERSATION,
        (_CONVERSATION_ID, *_PAGING), about="Without `before` and `after` it is the newest page.",
    ),
    Operation(
        "putMember", "PUT", "/api/conversations/{conversationId}/members/{userId}", "Conversations",
        "Add a member, or change a member's role",
        (
            Reply(201, "The user is in the conversation now.", MemberDocument),
            Reply(200, "The user was in it already, and has this role now.", MemberDocument),
        ),
        (*_REDIS, errors.LastOwner, *_CONVERSATION), (_CONVERSATION_ID, _USER_ID), (Membership,), body_required=False,
    ),
    Operation(
        "removeMember", "DELETE", "/api/conversations/{conversationId}/members/{userId}", "Conversations",
        "Remove a member, or leave", (Reply(204, "The user is in the conversation no more."),),
        (*_REDIS, errors.LastOwner, *_CONVERSATION), (_CONVERSATION_ID, _USER_ID),
    ),
    Operation(
        "getJob", "GET", "/api/jobs/{jobId}", "Jobs", "Ask what became of a job",
        (Reply(200, "Its state, attempts, times and error.", JobDocument),),
        (*_REDIS, errors.UnknownJob, *_CONVERSATION), (_JOB_ID,),
    ),
    Operation(
        "getLiveness", "GET", "/healthz", "Health", "Does the server live?", (Reply(200, "It does.", Liveness),),
    ),
    Operation(
        "getReadiness", "GET", "/readyz", "Health", "Are Redis and the database ready?",
        (Reply(200, "They are.", Readiness),), (errors.NotReady,),
    ),
    Operation(
        "getOpenApi", "GET", "/openapi.json", "Documents and pages", "This description of the HTTP interface",
        (Reply(200, "An OpenAPI document, version 3.1.", JSON),),
    ),
    Operation(
        "getAsyncApi", "GET", "/asyncapi.json", "Documents and pages", "The description of the websocket",
        (Reply(200, "An AsyncAPI document, version 3.0.", JSON),),
    ),
    Operation(
        "getClient", "GET", "/static/chatq.js", "Documents and pages", "The client for browsers",
        (Reply(200, "A module without dependencies.", SCRIPT), Reply(304, "It has not changed.")),
    ),
    Operation("showChat", "GET", "/", "Documents and pages", "The chat page", (Reply(200, "A page.", HTML),)),
    Operation(
        "showDocs", "GET", "/docs", "Documents and pages", "Read and try the interface", (Reply(200, "A page.", HTML),),
    ),
    Operation(
        "showProblems", "GET", "/problems", "Documents and pages", "All codes of errors",
        (Reply(200, "A page.", HTML),),
    ),
    Operation(
        "showProblem", "GET", "/problems/{code}", "Documents and pages", "What a code means, and what to do",
        (Reply(200, "A page.", HTML),),
        parameters=(Parameter("path", "code", _Code, "The `code` of a problem or of an `error`.", "forbidden"),),
    ),
)  # fmt: skip
