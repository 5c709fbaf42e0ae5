"""The way of events out of a client: to functions, in a thread of their own, or to who iterates."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from chatq.client.connection import Frame
from chatq.client.following import OnEvent
from chatq.errors import ChatqError

T = TypeVar("T")

ROOM = 1000
"""How many events wait at most for who takes them; what comes then is fetched from the server again later."""

_REFUSABLE = frozenset(("newMessage", "messageEdited", "messageDeleted", "messageStatus", "typing", "presence"))
"""What may be left out where there is no room: the server has it, or says it for a moment only."""

log = logging.getLogger("chatq.client")


class Inbox(Generic[T]):
    """What waits for one taker."""

    def __init__(self, on_room: Callable[[], None]) -> None:
        """Take a function that is called when there is room again after some was refused."""
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._on_room = on_room
        self._refused = False
        self._ended = False

    def put(self, item: T, *, refusable: bool) -> bool:
        """Take something, or, where that may be refused, return False if there is no room."""
        with self._changed:
            if refusable and len(self._waiting) >= ROOM:
                self._refused = True
                return False
            self._waiting.append(item)
            self._changed.notify()
            return True

    def get(self, timeout: float | None = None) -> T | None:
        """Return the next item; None at the end, or if none comes in ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._ended, timeout) or not self._waiting:
                return None
            item = self._waiting.popleft()
            wanted, self._refused = self._refused and not self._waiting, self._refused and bool(self._waiting)
        if wanted:
            self._on_room()
        return item

    def end(self) -> None:
        """Take nothing more; what waits can still be had."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Handing:
    """Hands events to the functions that were named for them, and all others to who iterates."""

    def __init__(self, on_event: OnEvent | None, on_room: Callable[[], None]) -> None:
        """Take the function for what no other is named for."""
        self._on_event = on_event
        self._on_room = on_room
        self._events: Inbox[Frame] = Inbox(on_room)
        self._calls: Inbox[tuple[OnEvent, Frame]] | None = None
        self.error: ChatqError | None = None
        """Why there will be nothing more, unless that was wanted."""

    def hand_over(self, event: Frame, on_event: OnEvent | None = None) -> bool:
        """Hand something over without waiting; return False if it was left out for want of room."""
        taker, refusable = on_event or self._on_event, event["type"] in _REFUSABLE
        if taker is None:
            return self._events.put(event, refusable=refusable)
        if self._calls is None:
            self._calls = Inbox(self._on_room)
            threading.Thread(target=_call, args=(self._calls,), name="chatq-events", daemon=True).start()
        return self._calls.put((taker, event), refusable=refusable)

    def next(self, timeout: float | None) -> Frame | None:
        """Return the next event for who iterates; None at the end, or if none comes in ``timeout`` seconds.

        Raises:
            ChatqError: there will be none, and not because the client was closed.
        """
        event = self._events.get(timeout)
        if event is None and self.error is not None:
            raise self.error
        return event

    def end(self, error: ChatqError | None) -> None:
        """Hand over nothing more than what waits."""
        self.error = error
        self._events.end()
        if self._calls is not None:
            self._calls.end()


def _call(calls: Inbox[tuple[OnEvent, Frame]]) -> None:
    while (item := calls.get()) is not None:
        taker, event = item
        try:
            taker(event)
        except (Exception, SystemExit):
            # The next event is not to suffer from it; sys.exit() would end this thread alone, and without a word.
            log.exception("a function that was called with an event failed")
