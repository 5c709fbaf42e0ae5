"""A room: one conversation's followers in this process, and how each gets every event once, in order.

Events come from two sources, which agree byte for byte: live from the bus, and from the log in the
database. The bus may lose, repeat and be late; numbers tell. Whoever is behind reads up from the log while
a :class:`Window` remembers what passes by live, until the two meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import gevent
import structlog
from sqlalchemy import Engine

from chatq.domain.messages import DEVELOPMENT_USER
from chatq.errors import DatabaseError
from chatq.realtime.frames import CloseCode
from chatq.realtime.live import BURST_BYTES, Numbered, Past, Window, in_chunks, is_dense, numbered, size_of
from chatq.store import reads

PAGE = 500
"""Events that are read from the log at once."""
BURST_PAUSE_SECONDS = 0.05
"""How long all wait for the slowest between two chunks."""
RETRY_SECONDS = 1.0

log = structlog.get_logger("chatq.realtime")


class Follower(Protocol):
    """Where a conversation's events go to."""

    def send(self, frame: bytes) -> None:
        """Take websocket frames; never waits."""

    def drain(self, size: int, timeout: float) -> None:
        """Wait until at most ``size`` bytes wait to be sent, or for ``timeout`` seconds."""

    def close(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """End the connection."""


class NotKept(Exception):
    """The log no longer holds the next event."""


class Room:
    """The followers of one conversation."""

    def __init__(self, conversation_id: str, engine: Engine) -> None:
        self.conversation_id = conversation_id
        self._engine = engine
        self._followers: dict[Follower, str | None] = {}
        """Each with its user, as far as it is known."""
        self._ahead: dict[Follower, int] = {}
        """Followers that read from the log what the bus has not brought yet, and up to where."""
        self._position = 0
        """Number up to which all followers have everything."""
        self._windows: set[Window] = set()
        self._joining = 0
        self._filling: gevent.Greenlet | None = None

    @property
    def position(self) -> int | None:
        """Number up to which all followers have everything; None without followers."""
        return self._position if self._followers else None

    @property
    def empty(self) -> bool:
        """Whether nobody follows, or is about to."""
        return not self._followers and not self._joining

    def receive(self, events: Sequence[Numbered]) -> None:
        """Take live events."""
        for window in self._windows:
            window.see(events)
        if not self._followers or self._filling is not None:
            return
        new = [event for event in events if event.seq > self._position]
        if not is_dense(new, self._position) or size_of(new) > BURST_BYTES:
            self.fill()
        elif new:
            self._deliver(new)

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
            if not self._followers and self._filling is None:
                self._position = position
            if position >= self._position:
                break
            # The others have more by now: what came since is in the log.
            window.open()
            first = self._read(position)
        if greeting:
            send(greeting)
        self._followers[follower] = user
        if position > self._position:
            self._ahead[follower] = position

    def remove(self, follower: Follower) -> None:
        """Send a follower nothing more."""
        self._followers.pop(follower, None)
        self._ahead.pop(follower, None)

    def has(self, follower: Follower) -> bool:
        """Tell whether this is one of the followers."""
        return follower in self._followers

    def user_of(self, follower: Follower) -> str | None:
        """Return a follower's user, as far as it is known."""
        return self._followers[follower]

    def rename(self, follower: Follower, user: str | None) -> None:
        """Take note of whose a follower is from now on."""
        self._followers[follower] = user

    def tell_others(self, user: str, frame: bytes) -> None:
        """Send a frame that is no event to all followers but a user's own."""
        for follower, other in self._followers.items():
            if (other or DEVELOPMENT_USER) != user:
                follower.send(frame)

    def tell_of_each(self, frames: Mapping[str, bytes]) -> None:
        """Send frames that are no events to all followers, but none the one about its own user."""
        together = b"".join(frames.values())
        for follower, user in self._followers.items():
            if user not in frames:
                follower.send(together)
            elif len(frames) > 1:
                follower.send(b"".join(frame for other, frame in frames.items() if other != user))

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
        if self._filling is None and self._followers:
            self._filling = gevent.spawn(self._fill)

    def _fill(self) -> None:
        window = Window()
        self._windows.add(window)
        try:
            while self._followers:
                try:
                    first = self._read(self._position)
                    self._read_up(self._position, window, first, self._deliver_slowly, self._deliver)
                except DatabaseError as error:
                    log.warning("events cannot be read; trying again", reason=error.detail)
                    gevent.sleep(RETRY_SECONDS)
                    window.open()
                else:
                    return
        except NotKept:
            self._end("events were lost; reconnect and resume")
        except Exception:
            # Followers that would miss everything from now on are better told so.
            log.exception("unforeseen error in a room", conversation_id=self.conversation_id)
            self._end("something went wrong on the server; reconnect and resume")
        finally:
            self._windows.discard(window)
            self._filling = None

    def _end(self, reason: str) -> None:
        for follower in list(self._followers):
            follower.close(CloseCode.FAULT, reason)

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
        page = reads.replay(self._engine, self.conversation_id, position, PAGE)
        return Past([numbered(payload) for payload in page.payloads], page.last_seq)

    def _deliver_slowly(self, events: Sequence[Numbered]) -> None:
        """Deliver in chunks, each once everybody, or all but the slow, have taken the one before."""
        for chunk in in_chunks(events):
            self._deliver(chunk)
            deadline = time.monotonic() + BURST_PAUSE_SECONDS
            for follower in list(self._followers):
                follower.drain(BURST_BYTES, max(0.0, deadline - time.monotonic()))

    def _deliver(self, events: Sequence[Numbered]) -> None:
        """Send all followers events that follow on the room's position."""
        together = b"".join(event.frame for event in events)
        if not self._ahead:
            for follower in self._followers:
                follower.send(together)
        else:
            for follower in self._followers:
                position = self._ahead.get(follower, 0)
                follower.send(b"".join(e.frame for e in events if e.seq > position) if position else together)
            last = events[-1].seq
            self._ahead = {follower: position for follower, position in self._ahead.items() if position > last}
        self._position = events[-1].seq
