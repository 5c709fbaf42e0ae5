"""What followers of a conversation learn of each other beside its events: who types, and who is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import redis

from chatq.queue import keys
from chatq.realtime.connection import Connection
from chatq.realtime.gossip import Gossip, Typing, read_piece
from chatq.realtime.presence import Presence
from chatq.realtime.room import Room
from chatq.realtime.typing import Typists


class Company:
    """Keeps typing and presence right as connections begin and end to follow rooms, and tells the rooms."""

    def __init__(self, client: redis.Redis, rooms: Mapping[str, Room], is_doubtful: Callable[[], bool]) -> None:
        """Take a client for short questions, and the rooms by channel.

        While ``is_doubtful`` says that somebody may follow a room who has no right to, nothing is told.
        """
        self._rooms = rooms
        self._is_doubtful = is_doubtful
        gossip = Gossip(client)
        self._presence = Presence(client, gossip, self._tell_of_each, is_doubtful)
        self._typists = Typists(gossip, self._tell_others)

    def enter(self, connection: Connection, room: Room) -> None:
        """A connection follows a room from now on: tell it who is there, and the others that it is."""
        if roll := self._presence.enter(room.conversation_id, room.audience.user_of(connection)):
            connection.send(roll)

    def leave(self, connection: Connection, room: Room) -> None:
        """A connection is about to follow a room no more, if it follows it at all."""
        if connection in room.audience:
            user = room.audience.user_of(connection)
            self._typists.stop(connection, room.conversation_id, user)
            self._presence.leave(room.conversation_id, user)

    def drop(self, room: Room) -> None:
        """Nobody follows a room any more."""
        self._presence.drop(room.conversation_id)

    def rename(self, connection: Connection, room: Room, user: str | None) -> None:
        """A connection that follows a room, or is about to, is another user's from now on."""
        if connection in room.audience and room.audience.user_of(connection) != user:
            self.leave(connection, room)
            room.audience.rename(connection, user)
            self._presence.enter(room.conversation_id, user)

    def type(self, connection: Connection, conversation_id: str, user_id: str, *, active: bool) -> None:
        """A connection says that its user types in a conversation, or does not any more."""
        self._typists.say(connection, conversation_id, user_id, active=active)

    def hear(self, room: Room, line: bytes) -> None:
        """Take what some process tells of a room."""
        piece = read_piece(line)
        if isinstance(piece, Typing):
            self._typists.hear(room.conversation_id, piece)
        else:
            self._presence.hear(room.conversation_id, piece)

    def restored(self) -> None:
        """Learn that the bus was down, and is restored."""
        self._presence.restored()

    def _tell_others(self, conversation_id: str, user_id: str, frame: bytes) -> None:
        """Send a frame to all followers of a conversation that are not this user's."""
        room = self._rooms.get(keys.conversation_channel(conversation_id))
        if room is not None and not self._is_doubtful():
            room.audience.tell_others(user_id, frame)

    def _tell_of_each(self, conversation_id: str, frames: Mapping[str, bytes]) -> None:
        """Send frames, by whom each is about, to all followers of a conversation, but none about a follower's own."""
        room = self._rooms.get(keys.conversation_channel(conversation_id))
        if room is not None:
            room.audience.tell_of_each(frames)
