"""The users who have connections to this process, and what is for one of them alone."""

from __future__ import annotations

from chatq.queue import keys
from chatq.realtime.bus import Bus
from chatq.realtime.connection import Connection
from chatq.realtime.framing import text_frame


class Users:
    """Which connections are whose."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._connections: dict[str, dict[Connection, None]] = {}
        """By channel."""

    def add(self, connection: Connection, user_id: str) -> None:
        """Send a connection what is for one user alone; waits until all of it arrives from now on."""
        channel = keys.user_channel(user_id)
        self._connections.setdefault(channel, {})[connection] = None
        self._bus.subscribe(channel)

    def remove(self, connection: Connection, user_id: str) -> None:
        """Send a connection nothing more of what is for one user alone."""
        channel = keys.user_channel(user_id)
        connections = self._connections.get(channel, {})
        connections.pop(connection, None)
        if not connections and self._connections.pop(channel, None) is not None:
            self._bus.unsubscribe(channel)

    def connections_of(self, user_id: str) -> list[Connection]:
        """Return the connections of one user."""
        return list(self._connections.get(keys.user_channel(user_id), ()))

    def receive(self, channel: str, payload: bytes) -> None:
        """Take what was published, frames one a line; what is for nobody here has no effect."""
        connections = self._connections.get(channel)
        if connections:
            frames = b"".join(text_frame(line) for line in payload.split(b"\n"))
            for connection in connections:
                connection.send(frames)
