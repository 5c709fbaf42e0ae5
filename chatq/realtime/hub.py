"""The hub: which connections of this process follow what, between the bus and the rooms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import gevent
import redis
import structlog
from sqlalchemy import Engine

from chatq.access.membership import Change, Memberships, heed
from chatq.domain.wire import decode, encode
from chatq.errors import Forbidden
from chatq.queue import keys
from chatq.realtime.archive import Archive
from chatq.realtime.bus import Bus
from chatq.realtime.company import Company
from chatq.realtime.connection import Connection
from chatq.realtime.framing import CloseCode, text_frame
from chatq.realtime.gossip import MARK
from chatq.realtime.live import numbered
from chatq.realtime.recovery import Recovery
from chatq.realtime.room import Room
from chatq.realtime.server_frames import Joined, Left
from chatq.realtime.users import Users
from chatq.store import members
from chatq.store.event_log import last_seqs

REPLAY_BYTES = 256 * 1024
"""While a client is sent its past, no more than about this waits for it."""

log = structlog.get_logger("chatq.realtime")


class _Removed(Exception):
    """A user was removed from a conversation while joining it."""


class Hub:
    """The rooms of this process; the bus brings it what happens.

    While the bus is away it may miss that a member is removed. What the bus brings afterwards is left to the log, until
    the database has been asked who is still a member.
    """

    def __init__(self, bus_client: redis.Redis, client: redis.Redis, engine: Engine, memberships: Memberships) -> None:
        """Take a client for the bus alone, and one for short questions."""
        # Whoever is removed from a conversation is not to see what comes after that.
        self._bus = Bus(bus_client, self, urgent=keys.MEMBERS)
        self._client = client
        self._engine = engine
        self._memberships = memberships
        self._connections: set[Connection] = set()
        self._rooms: dict[str, Room] = {}
        """By channel."""
        self._users = Users(self._bus)
        self._joined: dict[Connection, dict[str, str | None]] = {}
        """By connection: the conversations that it follows, or is about to, each with the user as whom it may."""
        self._archive = Archive(engine)
        self._recovery = Recovery(self._expel_removed, self._catch_up)
        self._draining = False
        self._company = Company(client, self._rooms, lambda: self._recovery.doubtful)

    def enter(self, connection: Connection) -> None:
        """Know a connection from now on."""
        self._connections.add(connection)
        if self._draining:
            self._send_away(connection)

    def exit(self, connection: Connection) -> None:
        """Know a connection, which follows no user any more, no more."""
        for conversation_id in list(self.joined(connection)):
            self.leave(connection, conversation_id)
        self._connections.discard(connection)

    def drain(self) -> None:
        """Tell every connection, those that are yet to come as well, to reconnect elsewhere."""
        self._draining = True
        for connection in list(self._connections):
            self._send_away(connection)

    def listen(self) -> None:
        """Hear of changes in who is in which conversation from now on; does not wait."""
        gevent.spawn(self._bus.subscribe, keys.MEMBERS)

    def joined(self, connection: Connection) -> Collection[str]:
        """Return the conversations that a connection follows."""
        return self._joined.get(connection, {}).keys()

    def join(
        self,
        connection: Connection,
        conversation_id: str,
        since: int | None,
        *,
        user: str | None,
        as_member: str | None,
    ) -> None:
        """Let a connection follow a conversation: send ``joined``, the events after ``since``, then all live ones.

        Without ``since`` the live ones alone. If it follows the conversation already, it starts anew. ``user`` is
        whose it is, as far as that is known; ``as_member`` the user, whose own channel it follows, as whom it may: once
        removed, it is sent ``left`` and nothing more.

        Raises:
            DatabaseError: the database cannot be asked; nothing is followed.
            NotKept: the log lost events while they were being sent.
            Closed: the connection has ended.
        """
        # Noted before anything that may wait: whoever is removed from now on is found.
        self._joined.setdefault(connection, {})[conversation_id] = as_member
        self._withhold(connection, conversation_id)
        try:
            self._join(connection, conversation_id, since, user)
        except _Removed:
            log.debug("a member was removed while joining", conversation_id=conversation_id)
        except BaseException:
            self.leave(connection, conversation_id)
            raise

    def _join(self, connection: Connection, conversation_id: str, since: int | None, user: str | None) -> None:
        def send(frames: bytes) -> None:
            if conversation_id not in self.joined(connection):
                raise _Removed
            connection.send(frames)

        channel = keys.conversation_channel(conversation_id)
        room = self._rooms.get(channel)
        if room is None:
            room = self._rooms[channel] = Room(conversation_id, self._engine)
        window = room.watch()
        try:
            self._bus.subscribe(channel)
            kept = self._archive.find_kept(conversation_id)
            recovered = since is None or kept.first_seq - 1 <= since <= kept.last_seq
            position = kept.last_seq if since is None or not recovered else since
            first = self._archive.read(conversation_id, position, kept.last_seq)
            room.add(
                connection,
                first,
                position,
                window,
                greeting=text_frame(
                    encode(Joined(conversation_id=conversation_id, seq=kept.last_seq, recovered=recovered))
                ),
                user=user,
                send=send,
                pause=partial(connection.wait_until_below, REPLAY_BYTES),
            )
            if conversation_id not in self.joined(connection):
                room.audience.remove(connection)
                raise _Removed
            self._company.enter(connection, room)
        finally:
            room.unwatch(window)
            self._drop_if_empty(channel, room)

    def leave(self, connection: Connection, conversation_id: str) -> None:
        """Let a connection follow a conversation no more."""
        joined = self._joined.get(connection, {})
        joined.pop(conversation_id, None)
        if not joined:
            self._joined.pop(connection, None)
        self._withhold(connection, conversation_id)

    def _withhold(self, connection: Connection, conversation_id: str) -> None:
        """Send a connection nothing more of a conversation."""
        channel = keys.conversation_channel(conversation_id)
        room = self._rooms.get(channel)
        if room is not None:
            self._company.leave(connection, room)
            room.audience.remove(connection)
            self._drop_if_empty(channel, room)

    def follow_user(self, connection: Connection, user_id: str) -> None:
        """Send a connection what is for one user alone."""
        self._users.add(connection, user_id)
        self._rename(connection, user_id)

    def leave_user(self, connection: Connection, user_id: str) -> None:
        """Send a connection nothing more of what is for one user alone."""
        self._rename(connection, None)
        self._users.remove(connection, user_id)

    def receive(self, channel: str, payload: bytes) -> None:
        """Take what was published: one or more frames, one a line."""
        room = self._rooms.get(channel)
        if room is not None:
            self._take(room, payload.split(b"\n"))
        elif channel == keys.MEMBERS:
            for line in payload.split(b"\n"):
                self._learn(decode(line, Change))
        else:
            self._users.receive(channel, payload)

    def type(self, connection: Connection, conversation_id: str, user_id: str, *, active: bool) -> None:
        """Tell the others in a conversation that a connection's user types, or does not any more.

        Raises:
            Forbidden: the connection does not follow the conversation.
        """
        if conversation_id not in self.joined(connection):
            raise Forbidden("Only who has joined a conversation can tell that they are typing.")
        self._company.type(connection, conversation_id, user_id, active=active)

    def lost(self) -> None:
        """Learn that the bus is down: who is removed meanwhile is not heard of."""
        self._recovery.lost()
        self._memberships.deafen()

    def restored(self) -> None:
        """Look for what was missed while the bus was down: first for who was removed, then for events."""
        self._memberships.hear()
        for room in self._rooms.values():
            room.spoil()
        self._company.restored()
        self._recovery.restored(followed=bool(self._rooms))

    def _take(self, room: Room, lines: Sequence[bytes]) -> None:
        pieces = [line for line in lines if line.startswith(MARK)]
        if len(pieces) < len(lines):
            if self._recovery.doubtful:
                # It is read from the log once it is known who may.
                room.spoil()
            else:
                events = [numbered(line) for line in lines if not line.startswith(MARK)]
                self._archive.follow(room.conversation_id, events)
                room.receive(events)
        for line in pieces:
            self._company.hear(room, line)

    def _rename(self, connection: Connection, user: str | None) -> None:
        """Take note of whose a connection is from now on, in everything that it follows."""
        for conversation_id in self.joined(connection):
            if (room := self._rooms.get(keys.conversation_channel(conversation_id))) is not None:
                self._company.rename(connection, room, user)

    def _catch_up(self) -> None:
        positions = {room: position for room in self._rooms.values() if (position := room.position) is not None}
        newest = last_seqs(self._engine, [room.conversation_id for room in positions])
        for room, position in positions.items():
            if newest[room.conversation_id] > position:
                room.fill()

    def _learn(self, change: Change) -> None:
        self._memberships.forget(change.conversation_id, change.user_id)
        if change.removed:
            self._expel(change.conversation_id, change.user_id)
        gevent.spawn(heed, self._client, change)

    def _expel_removed(self) -> None:
        """Let those follow no more who were removed while nothing was heard."""
        followed = {
            (conversation_id, user_id)
            for joined in self._joined.values()
            for conversation_id, user_id in joined.items()
            if user_id is not None
        }
        for conversation_id, user_id in followed - members.find_members(self._engine, followed):
            self._expel(conversation_id, user_id)

    def _expel(self, conversation_id: str, user_id: str) -> None:
        for connection in self._users.connections_of(user_id):
            if self._joined.get(connection, {}).get(conversation_id) == user_id:
                self.leave(connection, conversation_id)
                connection.send(text_frame(encode(Left(conversation_id=conversation_id))))

    def _drop_if_empty(self, channel: str, room: Room) -> None:
        if room.empty and self._rooms.get(channel) is room:
            del self._rooms[channel]
            self._bus.unsubscribe(channel)
            self._company.drop(room)

    def _send_away(self, connection: Connection) -> None:
        connection.close(CloseCode.DRAINING, "the server ends; reconnect and resume")
