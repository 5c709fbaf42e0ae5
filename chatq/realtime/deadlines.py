"""Until when each connection may go on without a token, or without a newer one."""

from __future__ import annotations

import time

import gevent

from chatq.realtime.connection import Connection
from chatq.realtime.framing import CloseCode

LOOK_SECONDS = 1.0


class Deadlines:
    """Closes connections whose time is over; for all of a process one greenlet, which exists only if there are any."""

    def __init__(self) -> None:
        self._ends: dict[Connection, tuple[float, str]] = {}
        self._first = float("inf")
        """Before it, no connection's time is over."""
        self._looking: gevent.Greenlet | None = None

    def within(self, connection: Connection, seconds: float, reason: str) -> None:
        """Close a connection after some seconds, for ``reason``, unless it is told otherwise before."""
        self.at(connection, time.time() + seconds, reason)

    def at(self, connection: Connection, moment: float, reason: str) -> None:
        """Close a connection at ``moment``, for ``reason``, unless it is told otherwise before."""
        self._ends[connection] = (moment, reason)
        self._first = min(self._first, moment)
        if self._looking is None:
            self._looking = gevent.spawn(self._look)

    def forget(self, connection: Connection) -> None:
        """Know a connection, which has ended, no more."""
        self._ends.pop(connection, None)

    def _look(self) -> None:
        try:
            while self._ends:
                gevent.sleep(LOOK_SECONDS)
                now = time.time()
                if now >= self._first:
                    self._close_all(now)
        finally:
            self._looking = None

    def _close_all(self, now: float) -> None:
        """Close every connection whose time is over."""
        over = [(connection, reason) for connection, (moment, reason) in self._ends.items() if moment <= now]
        for connection, reason in over:
            del self._ends[connection]
            # What still waits was meant for somebody who may not have it any more.
            connection.close(CloseCode.NOT_AUTHENTICATED, reason, at_once=True)
        self._first = min((moment for moment, _ in self._ends.values()), default=float("inf"))
