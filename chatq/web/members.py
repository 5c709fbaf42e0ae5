"""Members: who is put into a conversation, and who is removed from it."""

from __future__ import annotations

from flask import request
from redis import Redis

from chatq.access.membership import Memberships, announce
from chatq.access.rules import Rules
from chatq.domain.clock import timestamp
from chatq.domain.wire import Wire, decode
from chatq.store import members
from chatq.store.members import Role
from chatq.web.answers import Answer, json_answer, status_line
from chatq.web.conversations import describe_member
from chatq.web.identity import caller
from chatq.web.requests import check_client_id, read_body
from chatq.web.services import Services

MAX_BODY_BYTES = 8192


class Membership(Wire):
    """What a user is to be in a conversation; by default as before, a new one a member."""

    role: Role | None = None
    """Owners decide who is in the conversation."""


class Members:
    """The routes under ``/api/conversations/{id}/members``.

    A change is announced once it is committed, and answered once it is heeded. Where that fails, the request fails, and
    is to be sent again: the announcement is repeated even if the change is not.
    """

    def __init__(self, services: Services, rules: Rules, memberships: Memberships) -> None:
        self._engine = services.engine
        self._redis: Redis = services.redis
        self._rules = rules
        self._memberships = memberships

    def put(self, conversation_id: str, user_id: str) -> Answer:
        """Let a user be in a conversation, in a role."""
        _check_ids(conversation_id, user_id)
        wanted = decode(read_body(request.environ, MAX_BODY_BYTES, default=b"{}"), Membership)
        who = caller(request.environ)
        member, is_new = members.put_member(
            self._engine,
            conversation_id,
            user_id,
            wanted.role,
            by=who.acting_as(None),
            allow=self._rules.for_managing(who),
            now=timestamp(),
        )
        self._tell(conversation_id, user_id, removed=False)
        return json_answer(describe_member(member), 201 if is_new else 200)

    def remove(self, conversation_id: str, user_id: str) -> Answer:
        """Let a user be in a conversation no more."""
        _check_ids(conversation_id, user_id)
        who = caller(request.environ)
        members.remove_member(
            self._engine,
            conversation_id,
            user_id,
            by=who.acting_as(None),
            allow=self._rules.for_removing(who, user_id),
        )
        self._tell(conversation_id, user_id, removed=True)
        return Answer(status_line(204), [], b"")

    def _tell(self, conversation_id: str, user_id: str, *, removed: bool) -> None:
        self._memberships.forget(conversation_id, user_id)
        announce(self._redis, conversation_id, user_id, removed=removed)


def _check_ids(conversation_id: str, user_id: str) -> None:
    check_client_id("conversationId", conversation_id)
    check_client_id("userId", user_id)
