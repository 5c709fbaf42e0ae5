"""A room: how each follower of a conversation in this process gets every event once, in order.

Events come from two sources, which agree byte for byte: live from the bus, and from the log in the
database. The bus may lose, repeat and be late; numbers tell. Whoever is behind reads up from the log while
a :class:`Window` remembers what passes by live, until the two meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent
import structlog
from sqlalchemy import Engine

from chatq.errors import DatabaseError
from chatq.realtime.audience import Audience, Follower
from chatq.realtime.live import BURST_BYTES, Numbered, Past, Window, in_chunks, is_dense, numbered, size_of
from chatq.store.event_log import replay

PAGE = 500
"""Events that are read from the log at once."""
RETRY_SECONDS = 1.0

log = structlog.get_logger("chatq.realtime")


class NotKept(Exception):
    """The log no longer holds the next event."""


class Room:
    """The followers of one conversation, and the way of its events to them."""

    def __init__(self, conversation_id: str, engine: Engine) -> None:
        self.conversation_id = conversation_id
        self.audience = Audience()
        self._engine = engine
        self._windows: set[Window] = set()
        self._joining = 0
        self._filling: gevent.Greenlet | None = None

    @property
    def position(self) -> int | None:
        """Number up to which all followers have everything; None without followers."""
        return self.audience.position if self.audience else None

    @property
    def empty(self) -> bool:
        """Whether nobody follows, or is about to."""
        return not self.audience and not self._joining

    def receive(self, events: Sequence[Numbered]) -> None:
        """Take live events."""
        for window in self._windows:
            window.see(events)
        if not self.audience or self._filling is not None:
            return
        new = [event for event in events if event.seq > self.audience.position]
        if not is_dense(new, self.audience.position) or size_of(new) > BURST_BYTES:
            self.fill()
        elif new:
            self.audience.deliver(new)

    def add(
        self,
        follower: Follower,
        first: Past,
        position: int,
        window: Window,
        *,
        user: str | None,
        send: Callable[[bytes], None],
        pause: Callable[[], None],
        greeting: bytes = b"",
    ) -> None:
        """Send a new follower a greeting, the events after ``position``, then all live ones.

        The page ``first`` is the beginning of those events.
        ``window`` comes from :meth:`watch` and was open before ``first`` was read. Until the follower is one of all,
        it is sent everything by ``send``, which may break this off by raising. ``pause`` is called whenever some of the
        past was sent, and may wait.

        Raises:
            NotKept: events after ``position`` are not in the log any more.
            DatabaseError: the log cannot be read; the follower was not added.
        """

        def send_at_once(events: Sequence[Numbered]) -> None:
            # What goes together is written together.
            nonlocal greeting
            send(b"".join([greeting, *[event.frame for event in events]]))
            greeting = b""

        def send_slowly(events: Sequence[Numbered]) -> None:
            for chunk in in_chunks(events):
                send_at_once(chunk)
                pause()

        while True:
            position = self._read_up(position, window, first, send_slowly, send_at_once)
            if not self.audience and self._filling is None:
                self.audience.position = position
            if position >= self.audience.position:
                break
            # The others have more by now: what came since is in the log.
            window.open()
            first = self._read(position)
            if first.last_seq < self.audience.position:
                # The database was set back, to a backup or a standby that lagged: who is ahead of it has to begin anew.
                self.audience.end("the newest events were lost; reconnect and resume")
                self.audience.position = first.last_seq
        if greeting:
            send(greeting)
        self.audience.add(follower, user, position)

    def watch(self) -> Window:
        """Return a window through which live events are seen until :meth:`unwatch`."""
        window = Window()
        self._windows.add(window)
        self._joining += 1
        return window

    def unwatch(self, window: Window) -> None:
        """See nothing more through a window."""
        self._windows.discard(window)
        self._joining -= 1

    def spoil(self) -> None:
        """Live events may have been missed."""
        for window in self._windows:
            window.spoil()

    def fill(self) -> None:
        """Send all followers what they have not got yet, from the log."""
        if self._filling is None and self.audience:
            self._filling = gevent.spawn(self._fill)

    def _fill(self) -> None:
        window = Window()
        self._windows.add(window)
        try:
            while self.audience:
                try:
                    position = self.audience.position
                    first = self._read(position)
                    self._read_up(position, window, first, self.audience.deliver_slowly, self.audience.deliver)
                except DatabaseError as error:
                    log.warning("events cannot be read; trying again", reason=error.detail)
                    gevent.sleep(RETRY_SECONDS)
                    window.open()
                else:
                    return
        except NotKept:
            self.audience.end("events were lost; reconnect and resume")
        except Exception:
            log.exception("unforeseen error in a room", conversation_id=self.conversation_id)
            self.audience.end("something went wrong on the server; reconnect and resume")
        finally:
            self._windows.discard(window)
            self._filling = None

    def _read_up(
        self,
        position: int,
        window: Window,
        page: Past,
        deliver_past: Callable[[Sequence[Numbered]], None],
        deliver_live: Callable[[Sequence[Numbered]], None],
    ) -> int:
        """Deliver the events after ``position`` until the log meets the live ones; return where that is.

        ``deliver_past`` may wait; nothing can come between what ``deliver_live`` gets and the return.
        """
        while True:
            events = page.events
            if not is_dense(events, position) or (not events and page.last_seq > position):
                raise NotKept
            if events:
                deliver_past(events)
                position = events[-1].seq
            if position >= page.last_seq and (live := window.after(position)) is not None:
                if live:
                    deliver_live(live)
                return position + len(live)
            window.open()
            page = self._read(position)

    def _read(self, position: int) -> Past:
        page = replay(self._engine, self.conversation_id, position, PAGE)
        return Past([numbered(payload) for payload in page.payloads], page.last_seq)
