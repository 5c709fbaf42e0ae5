"""Who types: told at once, at most every few seconds, and over by itself when nothing more is heard."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from chatq.domain.messages import DEVELOPMENT_USER
from chatq.domain.wire import encode
from chatq.realtime import gossip
from chatq.realtime.framing import text_frame
from chatq.realtime.server_frames import Typing

REPEAT_SECONDS = 2.0
"""How long the same is not told again."""
CHANGE_SECONDS = 0.5
"""How long nothing else is told: who says one thing and the other in turn is not to keep everybody busy."""
TYPING_SECONDS = 6.0
"""How long somebody types of whom nothing more is heard: less than three repeats of a client's every 3 s."""
_LOOK_SECONDS = 0.5

_Who = tuple[str, str]
"""A conversation and a user."""


class Typists:
    """Who types, as far as this process has to know.

    A process tells the others what its own clients say. That somebody types no more each process finds by
    itself: the process from which it was heard may be gone.
    """

    def __init__(self, news: gossip.Gossip, tell_others: Callable[[str, str, bytes], None]) -> None:
        """Take what sends the followers of a conversation in this process, but for one user's own, a frame."""
        self._gossip = news
        self._tell_others = tell_others
        self._told: dict[_Who, tuple[bool, float, object]] = {}
        """What was told of this process's own users, when, and by whose word; for as long as it may matter."""
        self._put_off: dict[_Who, tuple[bool, object]] = {}
        """What is to be told next of those of whom something else was told a moment ago, and by whose word."""
        self._until: dict[_Who, float] = {}
        """Who types, and until when at most."""
        self._looking: gevent.Greenlet | None = None

    def say(self, connection: object, conversation_id: str, user_id: str, *, active: bool) -> None:
        """Take what a client of this process says of its user."""
        who, now = (conversation_id, user_id), time.monotonic()
        before, at, _ = self._told.get(who, (False, 0.0, None))
        self._put_off.pop(who, None)
        if before == active and (not active or now - at < REPEAT_SECONDS):
            return
        if who in self._told and now - at < CHANGE_SECONDS:
            self._put_off[who] = (active, connection)
        else:
            self._say(who, connection, active=active)

    def stop(self, connection: object, conversation_id: str, user_id: str | None) -> None:
        """Learn that a client follows a conversation no more: it types there no more either."""
        who = (conversation_id, user_id or DEVELOPMENT_USER)
        if self._put_off.get(who, (False, None))[1] is connection:
            del self._put_off[who]
        active, _, by = self._told.get(who, (False, 0.0, None))
        if active and by is connection:
            self._say(who, connection, active=False)

    def hear(self, conversation_id: str, piece: gossip.Typing) -> None:
        """Take what some process tells of somebody in a conversation that is followed here."""
        who = (conversation_id, piece.user_id)
        if piece.active:
            self._until[who] = time.monotonic() + TYPING_SECONDS
            self._look_soon()
        elif self._until.pop(who, None) is None:
            return
        self._tell(who, active=piece.active)

    def _say(self, who: _Who, connection: object, *, active: bool) -> None:
        self._told[who] = (active, time.monotonic(), connection)
        self._gossip.tell(who[0], gossip.Typing(who[1], active))
        self._look_soon()

    def _tell(self, who: _Who, *, active: bool) -> None:
        conversation_id, user_id = who
        frame = Typing(conversation_id=conversation_id, user_id=user_id, active=active)
        self._tell_others(conversation_id, user_id, text_frame(encode(frame)))

    def _look_soon(self) -> None:
        if self._looking is None:
            self._looking = gevent.spawn(self._look)

    def _look(self) -> None:
        try:
            while self._until or self._told:
                gevent.sleep(_LOOK_SECONDS)
                now = time.monotonic()
                for who in [who for who, until in self._until.items() if until <= now]:
                    del self._until[who]
                    self._tell(who, active=False)
                for who in [who for who in self._put_off if now - self._told[who][1] >= CHANGE_SECONDS]:
                    active, connection = self._put_off.pop(who)
                    self._say(who, connection, active=active)
                for who in [who for who, (_, at, _) in self._told.items() if now - at >= TYPING_SECONDS]:
                    del self._told[who]
        finally:
            self._looking = None
