"""Who asks, and in whose name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chatq.domain.messages import DEVELOPMENT_USER
from chatq.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request or opened a connection, as far as it is known."""

    user_id: str | None
    """The token's subject, or in development mode the user that the request names; None if it names none."""
    verified: bool
    """Whether a token says so; False in development mode, where everyone is believed."""
    service: bool = False
    """Whether the token's scope is ``chatq:service``: it acts for any user."""
    on_behalf: bool = False
    """Whether a service said in whose name it asks; if so, ``user_id`` is that user, and it acts for no other."""
    expires_at: float | None = None
    """Until when the token counts, in seconds since 1970; None if there is none."""

    @property
    def unrestricted(self) -> bool:
        """Whether nobody asks for memberships: development mode, and services."""
        return self.service or not self.verified

    def on_behalf_of(self, named: str) -> Caller:
        """Return the caller as the user that the request itself names.

        Raises:
            Forbidden: it names somebody else than the caller, who may not act for others.
        """
        if self.service:
            return replace(self, user_id=named, on_behalf=True)
        self.acting_as(named)
        return self

    def acting_as(self, named: str | None) -> str:
        """Return the user in whose name something is done, where the request's content may name one.

        Raises:
            Forbidden: it names somebody else than the caller, who may not act for others.
        """
        if named is None:
            return self.user_id or DEVELOPMENT_USER
        if self.user_id not in {None, named} and (self.on_behalf or not self.service):
            raise Forbidden(f"You are {self.user_id!r} and may not act as {named!r}.")
        return named

    def counting_as(self, user_id: str) -> str:
        """Return whose limit it counts against what the caller does as ``user_id``; '' for a service's: nobody's."""
        return "" if self.service else user_id
