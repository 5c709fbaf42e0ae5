"""The way back after the bus was away: first who is still a member, then what all of these missed."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import structlog

from chatq.errors import DatabaseError
from chatq.realtime.room import RETRY_SECONDS

log = structlog.get_logger("chatq.realtime")


class Recovery:
    """Knows whether what the bus brings may be passed on, and makes good what it did not bring."""

    def __init__(self, expel_removed: Callable[[], None], catch_up: Callable[[], None]) -> None:
        """Take what ends the following of those who were removed meanwhile, and what fetches missed events."""
        self._expel_removed = expel_removed
        self._catch_up = catch_up
        self._outages = 0
        self.doubtful = False
        """Whether somebody may follow a conversation who is no member any more."""

    def lost(self) -> None:
        """Learn that the bus is down: who is removed meanwhile is not heard of."""
        self._outages += 1
        self.doubtful = True

    def restored(self, *, followed: bool) -> None:
        """Learn that the bus is back; ``followed`` tells whether anybody follows anything."""
        if followed:
            gevent.spawn(self._recover, self._outages)
        else:
            self.doubtful = False

    def _recover(self, outage: int) -> None:
        for step in (self._expel_removed, self._trust, self._catch_up):
            while outage == self._outages:
                try:
                    step()
                    break
                except DatabaseError as error:
                    log.warning("what was missed cannot be read; trying again", reason=error.detail)
                    gevent.sleep(RETRY_SECONDS)

    def _trust(self) -> None:
        self.doubtful = False
