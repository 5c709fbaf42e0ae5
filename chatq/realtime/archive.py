"""What joins read of the log: which events there are, and the first page of those that a client has not got."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gevent.lock import Semaphore
from sqlalchemy import Engine

from chatq.realtime.live import Numbered, Past, is_dense, numbered
from chatq.realtime.questions import Questions
from chatq.realtime.recall import Recall
from chatq.realtime.room import PAGE
from chatq.store.event_log import Kept, find_kept, payloads_after

PAGES_AT_ONCE = 3
"""Joins that read from the log at the same time: fewer than there are connections that are kept open."""


class Archive:
    """Asks the database together what is asked at the same time, and as little as can be of what is read often."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Questions[str, Kept] = Questions(partial(find_kept, engine))
        self._pages = Semaphore(PAGES_AT_ONCE)
        self._recall = Recall()

    def find_kept(self, conversation_id: str) -> Kept:
        """Return which events of a conversation are kept.

        Raises:
            DatabaseError: the database cannot be asked.
        """
        return self._kept.ask(conversation_id)

    def read(self, conversation_id: str, position: int, last: int) -> Past:
        """Return the events after ``position``, the first page of them at least; ``last`` is the newest.

        Raises:
            DatabaseError: the database cannot be asked.
        """
        if position >= last:
            return Past([], last)
        events = self._recall.after(conversation_id, position, last)
        if events is None:
            with self._pages:
                payloads = payloads_after(self._engine, conversation_id, position, PAGE)
            events = [numbered(payload) for payload in payloads]
            if events and events[-1].seq >= last and is_dense(events, position):
                self._recall.remember(conversation_id, list(events))
        return Past(events, last)

    def follow(self, conversation_id: str, events: Sequence[Numbered]) -> None:
        """Take live events."""
        self._recall.follow(conversation_id, events)
