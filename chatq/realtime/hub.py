"""The hub: which connections of this process follow what, between the bus and the rooms."""

from __future__ import annotations

import gevent
import redis
import structlog
from sqlalchemy import Engine

from chatq.domain.wire import encode
from chatq.errors import DatabaseError
from chatq.queue import keys
from chatq.realtime.bus import Bus
from chatq.realtime.connection import Connection
from chatq.realtime.frames import CloseCode, text_frame
from chatq.realtime.live import numbered
from chatq.realtime.room import RETRY_SECONDS, Room
from chatq.store import reads
from chatq.store.reads import Replay

REPLAY_BYTES = 256 * 1024
"""While a client is sent its past, no more than about this waits for it."""
_BEYOND_ALL = 1 << 62

log = structlog.get_logger("chatq.realtime")


class Hub:
    """The rooms of this process; the bus brings it what happens."""

    def __init__(self, client: redis.Redis, engine: Engine) -> None:
        """Take a client without a time limit, for the bus alone."""
        self._bus = Bus(client, self)
        self._engine = engine
        self._connections: set[Connection] = set()
        self._rooms: dict[str, Room] = {}
        """By channel."""
        self._users: dict[str, dict[Connection, None]] = {}
        """By channel: the connections of one user."""
        self._draining = False

    def enter(self, connection: Connection) -> None:
        """Know a connection from now on."""
        self._connections.add(connection)
        if self._draining:
            self._send_away(connection)

    def exit(self, connection: Connection) -> None:
        """Know a connection, which has left everything that it followed, no more."""
        self._connections.discard(connection)

    def drain(self) -> None:
        """Tell every connection, those that are yet to come as well, to reconnect elsewhere."""
        self._draining = True
        for connection in list(self._connections):
            self._send_away(connection)

    def join(self, connection: Connection, conversation_id: str, since: int | None) -> None:
        """Let a connection follow a conversation: send ``joined``, the events after ``since``, then all live ones.

        Without ``since`` the live ones alone. If it follows the conversation already, it starts anew.

        Raises:
            DatabaseError: the database cannot be asked; nothing is followed.
            NotKept: the log lost events while they were being sent.
            Closed: the connection has ended.
        """
        self.leave(connection, conversation_id)
        channel = keys.conversation_channel(conversation_id)
        room = self._rooms.get(channel)
        if room is None:
            room = self._rooms[channel] = Room(conversation_id, self._engine)
        window = room.watch()
        try:
            self._bus.subscribe(channel)
            page = reads.replay(self._engine, conversation_id, _BEYOND_ALL if since is None else since)
            recovered = since is None or page.first_seq - 1 <= since <= page.last_seq
            joined = {
                "type": "joined",
                "conversationId": conversation_id,
                "seq": page.last_seq,
                "recovered": recovered,
            }
            connection.send(text_frame(encode(joined)))
            position = page.last_seq if since is None or not recovered else since
            first = page if recovered else Replay([], page.last_seq, page.first_seq)
            room.add(connection, first, position, window, lambda: connection.wait_until_below(REPLAY_BYTES))
        finally:
            room.unwatch(window)
            self._drop_if_empty(channel, room)

    def leave(self, connection: Connection, conversation_id: str) -> None:
        """Let a connection follow a conversation no more."""
        channel = keys.conversation_channel(conversation_id)
        room = self._rooms.get(channel)
        if room is not None:
            room.remove(connection)
            self._drop_if_empty(channel, room)

    def follow_user(self, connection: Connection, user_id: str) -> None:
        """Send a connection what is for one user alone."""
        channel = keys.user_channel(user_id)
        self._users.setdefault(channel, {})[connection] = None
        self._bus.subscribe(channel)

    def leave_user(self, connection: Connection, user_id: str) -> None:
        """Send a connection nothing more of what is for one user alone."""
        channel = keys.user_channel(user_id)
        followers = self._users.get(channel, {})
        followers.pop(connection, None)
        if not followers and self._users.pop(channel, None) is not None:
            self._bus.unsubscribe(channel)

    def receive(self, channel: str, payload: bytes) -> None:
        """Take what was published: one or more frames, one a line."""
        room = self._rooms.get(channel)
        if room is not None:
            room.receive([numbered(line) for line in payload.split(b"\n")])
        elif channel in self._users:
            frames = b"".join(text_frame(line) for line in payload.split(b"\n"))
            for connection in self._users[channel]:
                connection.send(frames)

    def restored(self) -> None:
        """Look for what was missed while the bus was down."""
        for room in self._rooms.values():
            room.spoil()
        if self._rooms:
            gevent.spawn(self._catch_up)

    def _catch_up(self) -> None:
        while True:
            positions = {room: position for room in self._rooms.values() if (position := room.position) is not None}
            try:
                newest = reads.last_seqs(self._engine, [room.conversation_id for room in positions])
            except DatabaseError as error:
                log.warning("events cannot be read; trying again", reason=error.detail)
                gevent.sleep(RETRY_SECONDS)
                continue
            for room, position in positions.items():
                if newest[room.conversation_id] > position:
                    room.fill()
            return

    def _drop_if_empty(self, channel: str, room: Room) -> None:
        if room.empty and self._rooms.get(channel) is room:
            del self._rooms[channel]
            self._bus.unsubscribe(channel)

    def _send_away(self, connection: Connection) -> None:
        connection.close(CloseCode.DRAINING, "the server ends; reconnect and resume")
