"""Presence: who is there in a conversation, right across processes and after a crash of any of them.

Nothing of it is stored. Each process knows its own users, tells the others who came and left, and is asked
by whoever begins to follow a conversation. A process counts as long as it renews its lease in Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from uuid import uuid4

import gevent
import redis
import structlog

from chatq.errors import RedisError
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.queue.scripts import run
from chatq.realtime.attendance import Attendance
from chatq.realtime.gossip import Gossip, Here, Moves

TELL_SECONDS = 0.2
"""How long changes are collected before they are told."""
LEASE_SECONDS = 8.0
"""How long a process that says nothing counts as alive."""
RENEW_SECONDS = 2.5

log = structlog.get_logger("chatq.realtime")


class Presence:
    """Who is there in the conversations that are followed in this process.

    Two greenlets, whatever the number of sockets: one renews the lease while anything is followed, one tells
    what has changed while something has.
    """

    def __init__(
        self,
        client: redis.Redis,
        gossip: Gossip,
        tell_of_each: Callable[[str, Mapping[str, bytes]], None],
        is_doubtful: Callable[[], bool],
    ) -> None:
        """Take what sends the followers of a conversation in this process frames, by the user whom each is about.

        While ``is_doubtful`` says that somebody may follow one who has no right to, nothing is told.
        """
        self._client = client
        self._gossip = gossip
        self._tell_of_each = tell_of_each
        self._is_doubtful = is_doubtful
        self._process = uuid4().hex[:16]
        self._rooms: dict[str, Attendance] = {}
        """By conversation: all that are followed here."""
        self._changed: dict[str, Attendance] = {}
        self._missing: dict[str, int] = {}
        """Processes without a lease, by how often in a row that was seen: Redis may have lost them all, or us."""
        self._era = 0
        """Counts how often the bus was restored: what was heard before may not be true any more."""
        self._era_age = 0
        self._telling: gevent.Greenlet | None = None
        self._renewing: gevent.Greenlet | None = None

    def enter(self, conversation_id: str, user_id: str | None) -> bytes:
        """A socket follows a conversation from now on; return the frames that tell it who is there.

        ``user_id`` is None for one that has not said who it is: nobody learns that it is there.
        """
        room = self._rooms.get(conversation_id)
        if room is None:
            room = self._rooms[conversation_id] = Attendance(conversation_id)
            if self._renewing is None:
                self._renewing = gevent.spawn(self._renew)
        if user_id is not None:
            room.enter(user_id)
        if user_id is not None or room.to_ask:
            self._tell_soon(room)
        return room.roll(user_id)

    def leave(self, conversation_id: str, user_id: str | None) -> None:
        """A socket that had entered follows a conversation no more."""
        if user_id is not None:
            room = self._rooms[conversation_id]
            room.leave(user_id)
            self._tell_soon(room)

    def drop(self, conversation_id: str) -> None:
        """Nobody follows a conversation here any more."""
        room = self._rooms.pop(conversation_id, None)
        self._changed.pop(conversation_id, None)
        if room is not None:
            # The last one left a moment ago, and nobody here is to be told of it; elsewhere somebody may be.
            self._publish(room)

    def hear(self, conversation_id: str, piece: Moves | Here) -> None:
        """Take what some process tells of its users in a conversation that is followed here."""
        room = self._rooms.get(conversation_id)
        if room is None or piece.process == self._process:
            return
        room.hear(piece, self._era)
        self._missing.pop(piece.process, None)
        if isinstance(piece, Moves) and piece.ask:
            room.to_announce = True
        self._tell_soon(room)

    def restored(self) -> None:
        """Tell and ask everything anew: the bus was down."""
        self._era += 1
        self._era_age = 0
        self._announce_all(ask=True)

    def _announce_all(self, *, ask: bool) -> None:
        for room in self._rooms.values():
            room.to_announce, room.to_ask = True, ask or room.to_ask
            self._tell_soon(room)

    def _tell_soon(self, room: Attendance) -> None:
        self._changed[room.conversation_id] = room
        if self._telling is None:
            self._telling = gevent.spawn(self._tell)

    def _tell(self) -> None:
        try:
            while self._changed:
                gevent.sleep(TELL_SECONDS)
                if self._is_doubtful():
                    continue
                changed, self._changed = self._changed, {}
                for room in changed.values():
                    self._publish(room)
                    if frames := room.take_frames():
                        self._tell_of_each(room.conversation_id, frames)
                        # Telling a crowd takes a while, in which others have their turn.
                        gevent.sleep(0)
        finally:
            self._telling = None

    def _publish(self, room: Attendance) -> None:
        for piece in room.take_news(self._process):
            self._gossip.tell(room.conversation_id, piece)

    def _renew(self) -> None:
        try:
            while self._rooms:
                try:
                    with translated():
                        lease = int(LEASE_SECONDS * 1000)
                        known, alive = run(self._client, "presence", [keys.PRESENCE], [self._process, lease])
                except RedisError as error:
                    log.debug("the lease could not be renewed", reason=error.detail)
                else:
                    self._look(bool(known), {process.decode() for process in alive})
                gevent.sleep(RENEW_SECONDS)
        finally:
            self._renewing = None

    def _look(self, known: bool, alive: Collection[str]) -> None:
        """Forget the users of processes that are gone."""
        if not known:
            # Others may have taken this process for gone.
            self._announce_all(ask=False)
        self._era_age += 1
        heard = {process for room in self._rooms.values() for process in room.processes}
        self._missing = {process: self._missing.get(process, 0) + 1 for process in heard.difference(alive)}
        gone = [process for process, times in self._missing.items() if times > 1]
        for room in self._rooms.values():
            lost = [room.lose(process) for process in gone]
            if self._era_age == 2:
                lost.append(room.lose_before(self._era))
            if any(lost):
                self._tell_soon(room)
