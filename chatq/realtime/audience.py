"""The audience of a conversation in this process: who follows it, and up to where each has everything."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from chatq.domain.messages import DEVELOPMENT_USER
from chatq.realtime.framing import CloseCode
from chatq.realtime.live import BURST_BYTES, Numbered, in_chunks

BURST_PAUSE_SECONDS = 0.05
"""How long all wait for the slowest between two chunks."""


class Follower(Protocol):
    """Where a conversation's events go to."""

    def send(self, frame: bytes) -> None:
        """Take websocket frames; never waits."""

    def drain(self, size: int, timeout: float) -> None:
        """Wait until at most ``size`` bytes wait to be sent, or for ``timeout`` seconds."""

    def close(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """End the connection."""


class Audience:
    """All followers of one conversation, each with its user as far as that is known. True while there is one."""

    def __init__(self) -> None:
        self.position = 0
        """Number up to which all followers have everything."""
        self._followers: dict[Follower, str | None] = {}
        self._ahead: dict[Follower, int] = {}
        """Followers that read from the log what the bus has not brought yet, and up to where."""

    def __bool__(self) -> bool:
        return bool(self._followers)

    def __contains__(self, follower: Follower) -> bool:
        return follower in self._followers

    def add(self, follower: Follower, user: str | None, position: int) -> None:
        """Send a follower everything from now on; it has the events up to ``position``, which no other is ahead of."""
        self._followers[follower] = user
        if position > self.position:
            self._ahead[follower] = position

    def remove(self, follower: Follower) -> None:
        """Send a follower nothing more."""
        self._followers.pop(follower, None)
        self._ahead.pop(follower, None)

    def user_of(self, follower: Follower) -> str | None:
        """Return a follower's user, as far as it is known."""
        return self._followers[follower]

    def rename(self, follower: Follower, user: str | None) -> None:
        """Take note of whose a follower is from now on."""
        self._followers[follower] = user

    def deliver(self, events: Sequence[Numbered]) -> None:
        """Send all followers events that follow on the position."""
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
        self.position = events[-1].seq

    def deliver_slowly(self, events: Sequence[Numbered]) -> None:
        """Deliver in chunks, each once everybody, or all but the slow, have taken the one before."""
        for chunk in in_chunks(events):
            self.deliver(chunk)
            deadline = time.monotonic() + BURST_PAUSE_SECONDS
            for follower in list(self._followers):
                follower.drain(BURST_BYTES, max(0.0, deadline - time.monotonic()))

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

    def end(self, reason: str) -> None:
        """End the connections of all followers, who are better told so than left to miss everything."""
        for follower in list(self._followers):
            follower.close(CloseCode.FAULT, reason)
