"""The points at which a message worker can be told to die or to freeze, and how it is told.

The test writes orders to the worker's standard input, a line each: point, deed, and how often to pass by
before. The worker looks for them at every point; at the one that is ordered it says so on its standard output
and sends itself the signal.
"""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum


class Point(StrEnum):
    """Where a worker can be stopped, in the order in which it comes there."""

    ROUTING = "routing"
    """It has read which jobs wait in ``messages``, and holds the router's lease."""
    CLAIMED = "claimed"
    """It holds a lane and has claimed jobs."""
    TAKING_OVER = "taking-over"
    """The database has the lane's new epoch, not committed."""
    TAKEN_OVER = "taken-over"
    """The lane's new epoch is committed, and Redis does not know it."""
    APPLIED = "applied"
    """The database has the batch, not committed."""
    COMMITTED = "committed"
    """The batch is committed, and nothing published."""
    PUBLISHED = "published"
    """The batch is published, and its jobs are claimed still."""
    FINISHED = "finished"
    """The batch is over, and so is the lane, or else its next jobs are claimed."""


POINTS = [point for point in Point if point is not Point.ROUTING]
"""Where workers get that have nothing to route."""
IN_TRANSACTION = frozenset((Point.TAKING_OVER, Point.APPLIED))
"""Where a worker is inside of a transaction that writes: one that is frozen there holds up all writers of SQLite."""


class Deed(StrEnum):
    """What a worker does to itself."""

    KILL = "SIGKILL"
    FREEZE = "SIGSTOP"


class Orders:
    """The orders of one worker, as the worker sees them."""

    def __init__(self, source: int) -> None:
        """Take the file descriptor that the orders come from; whoever closes its other end ends the worker."""
        os.set_blocking(source, False)
        self._source = source
        self._rest = b""
        self._orders: dict[Point, tuple[Deed, int]] = {}

    def look(self) -> None:
        """Take in the orders that have come."""
        try:
            text = os.read(self._source, 65536)
        except BlockingIOError:
            return
        if not text:
            sys.exit("the test is gone")
        *lines, self._rest = (self._rest + text).split(b"\n")
        for line in lines:
            point, deed, passes = line.decode().split()
            self._orders[Point(point)] = (Deed(deed), int(passes))

    def wants(self, point: Point) -> bool:
        """Tell whether there is an order for ``point``, whether at once or later."""
        self.look()
        return point in self._orders

    def reach(self, point: Point) -> None:
        """Be at ``point``, and do what is ordered there."""
        if not self.wants(point):
            return
        deed, passes = self._orders[point]
        if passes:
            self._orders[point] = (deed, passes - 1)
            return
        del self._orders[point]
        print(point, flush=True)
        os.kill(os.getpid(), signal.Signals[deed])
