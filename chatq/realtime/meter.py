"""How much one socket says, and when that is too much for it to be listened to."""

from __future__ import annotations

from chatq.access.limits import Limits

MAX_REFUSED_TOKENS = 5
"""So many in a row end a connection, whatever the settings: each costs the check of a signature."""
MAX_UNKNOWN_FRAMES = 1000
"""How much may be said before it is known by whom: a client need not wait for that to follow its conversations."""


class TooFast(Exception):
    """The connection is to be ended."""


class Meter:
    """Counts for one socket, and lets its user's limits count, if there are any."""

    __slots__ = ("_limits", "_refused_tokens", "_unknown_frames", "_user")

    def __init__(self, limits: Limits | None, user_id: str | None) -> None:
        """Take whose limits count until :meth:`become`; None for those of a socket of which that is not known."""
        self._limits = limits
        self._user = user_id
        self._unknown_frames = 0
        self._refused_tokens = 0
        """Since the last one that was accepted."""

    def count(self, frames: int) -> None:
        """Count what the client says.

        Raises:
            TooFast: it is too much.
        """
        if self._user is None:
            self._unknown_frames += frames
            if self._unknown_frames > MAX_UNKNOWN_FRAMES:
                raise TooFast("too many frames before `auth`")
        elif self._limits is not None and not self._limits.take_frames(self._user, frames):
            raise TooFast("too many frames")

    def count_join(self) -> None:
        """Count a join.

        Raises:
            RateLimited: there are too many.
        """
        if self._limits is not None and self._user is not None:
            self._limits.check_join(self._user)

    def count_token(self, *, good: bool) -> None:
        """Count a token that was checked.

        Raises:
            TooFast: too many were no good.
        """
        self._refused_tokens = 0 if good else self._refused_tokens + 1
        if self._refused_tokens >= MAX_REFUSED_TOKENS:
            raise TooFast("too many tokens were refused")

    def become(self, user_id: str, *, limited: bool) -> None:
        """Learn whose socket it is, until :meth:`leave`; what a service does counts against nobody's limits.

        Raises:
            TooFast: the user has, or had of late, too many.
        """
        self._user = user_id
        if not limited:
            self._limits = None
        if self._limits is not None and not self._limits.enter(user_id):
            raise TooFast("too many connections")

    def leave(self, user_id: str) -> None:
        """Learn that it is this user's no more."""
        if self._limits is not None:
            self._limits.exit(user_id)
