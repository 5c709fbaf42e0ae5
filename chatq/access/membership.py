"""Who is in which conversation, as this process knows it, and how the processes tell each other of changes.

A message is accepted without asking the database whenever its sender's membership is known here. What is known is
forgotten when some process announces a change, and after a while of its own accord: sooner while announcements may go
unheard.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import uuid4

import redis
import structlog
from sqlalchemy import Engine

from chatq.domain.wire import Wire, encode
from chatq.errors import RedisError
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.store import members
from chatq.store.members import Role

TRUSTED_SECONDS = 60.0
"""How long a membership is believed while announcements are heard."""
UNHEARD_SECONDS = 3.0
"""How long it is believed while they are not."""
HEED_SECONDS = 1.0
"""How long an announcement waits for those who hear it to go by it."""
MAX_KNOWN = 50_000
_STRIPES = 1024
_EXISTS = ""
"""Stands for the user, which it can never be, where only the conversation matters."""

log = structlog.get_logger("chatq.access")


class Change(Wire):
    """A user came into a conversation, became another thing in it, or was removed from it."""

    conversation_id: str
    user_id: str
    removed: bool
    heeded: str
    """The list in Redis to which each process adds that it goes by the change."""


def announce(client: redis.Redis, conversation_id: str, user_id: str, *, removed: bool) -> None:
    """Tell every API process of a change that is committed, and wait until all that hear of it go by it.

    Whoever learns that somebody was removed may rely on it: nobody lets that user in any more, nor sends them anything.
    Only a process that does not get round to it for :data:`HEED_SECONDS` is not waited for.

    Raises:
        RedisError: it is unknown whether they heard of it.
    """
    heeded = keys.heeded(uuid4().hex)
    change = Change(conversation_id=conversation_id, user_id=user_id, removed=removed, heeded=heeded)
    deadline = time.monotonic() + HEED_SECONDS
    with translated():
        waiting = int(client.publish(keys.MEMBERS, encode(change)))
        while waiting:
            # 0 would be for ever.
            if client.blpop([heeded], timeout=max(0.01, deadline - time.monotonic())) is None:
                log.info("a change of members is not heeded everywhere yet", processes=waiting)
                break
            waiting -= 1


def heed(client: redis.Redis, change: Change) -> None:
    """Tell whoever announced a change that this process goes by it from now on."""
    try:
        with translated(), client.pipeline(transaction=False) as pipe:
            pipe.rpush(change.heeded, "1")
            pipe.expire(change.heeded, 10)
            pipe.execute()
    except RedisError as error:
        # They wait a little longer.
        log.debug("a change of members could not be answered", reason=error.detail)


class Memberships:
    """Answers who is in which conversation; only what is true is remembered, never that somebody is not in one."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.monotonic) -> None:
        """Take a database, and a clock that counts seconds."""
        self._engine = engine
        self._now = now
        self._known: OrderedDict[tuple[str, str], tuple[Role | None, float]] = OrderedDict()
        """By conversation and user: the role, and since when it is known; what was used last is at the end."""
        self._heard = False
        self._changes = [0] * _STRIPES
        """Counts changes, by what a key hashes to: those of others are not to keep anybody from an answer."""

    def role(self, conversation_id: str, user_id: str) -> Role | None:
        """Return a user's role in a conversation; None for one who is not in it.

        Whoever acts on the answer without waiting for anything else learns of every later change by its announcement.

        Raises:
            UnknownConversation: there is none with this id.
            DatabaseError: it is not known here, and the database cannot be asked.
        """
        key = (conversation_id, user_id)
        known = self._find(key)
        return known[0] if known is not None else self._ask(key)

    def check_exists(self, conversation_id: str) -> None:
        """Check that there is a conversation with this id.

        Raises:
            UnknownConversation: there is none.
            DatabaseError: it is not known here, and the database cannot be asked.
        """
        key = (conversation_id, _EXISTS)
        if self._find(key) is None:
            self._ask(key)

    def forget(self, conversation_id: str, user_id: str) -> None:
        """Believe nothing of a user in a conversation that was known before now."""
        key = (conversation_id, user_id)
        self._changes[_stripe(key)] += 1
        self._known.pop(key, None)

    def hear(self) -> None:
        """Learn that from now on announcements are heard, and that some before may have been missed."""
        self._changes = [count + 1 for count in self._changes]
        self._known.clear()
        self._heard = True

    def deafen(self) -> None:
        """Learn that announcements are not heard for now."""
        self._heard = False

    def _find(self, key: tuple[str, str]) -> tuple[Role | None, float] | None:
        known = self._known.get(key)
        if known is None:
            return None
        if self._now() - known[1] > (TRUSTED_SECONDS if self._heard else UNHEARD_SECONDS):
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return known

    def _ask(self, key: tuple[str, str]) -> Role | None:
        stripe = _stripe(key)
        while True:
            changes, since = self._changes[stripe], self._now()
            role = members.find_role(self._engine, *key)
            # An answer that was on its way while a change was announced may be older than the change.
            if changes == self._changes[stripe]:
                break
        if role is not None or key[1] == _EXISTS:
            self._known[key] = (role, since)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        return role


def _stripe(key: tuple[str, str]) -> int:
    return hash(key) % _STRIPES
