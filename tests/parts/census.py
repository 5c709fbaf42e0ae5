"""What a serving process holds for its clients: connections, subscriptions, memory."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import redis

from tests.parts.processes import descendants, resident
from tests.parts.waiting import until


class Held(NamedTuple):
    """What is held at one moment."""

    connections: int
    """Descriptors of TCP sockets: what clients have, or had, and the one that listens."""
    channels: frozenset[str]
    """Those that anybody is subscribed to."""


class Census:
    """Counts what the one process that serves, a child of ``arbiter``, holds; its own Redis is a unix socket."""

    def __init__(self, arbiter: int, client: redis.Redis) -> None:
        (self.pid,) = descendants(arbiter)
        self._redis = client

    def held(self) -> Held:
        """Return what is held now."""
        return Held(self._connections(), frozenset(map(str, self._redis.pubsub_channels())))

    def resident(self) -> float:
        """Return the process's resident memory in MB, as Linux tells it."""
        return resident(self.pid)

    def wait_until_back(self, before: Held) -> None:
        """Wait until no more is held than ``before``."""
        until(lambda: self._is_back(before), what=f"no more held than {before}")

    def _is_back(self, before: Held) -> bool:
        now = self.held()
        return now.connections <= before.connections and now.channels <= before.channels

    def _connections(self) -> int:
        sockets = set()
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            # Closed since it was listed.
            with suppress(FileNotFoundError):
                name = str(link.readlink())
                if name.startswith("socket:["):
                    sockets.add(name[len("socket:[") : -1])
        # Not those that /proc/net/tcp lists, where a connection that was reset is no more.
        unix = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()}
        return len(sockets - unix)
