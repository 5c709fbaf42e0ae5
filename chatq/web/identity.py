"""Who sends a request: what its headers say, and whether that may be believed."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from chatq.access.callers import Caller
from chatq.errors import NotAuthenticated, TokenRefused
from chatq.web.requests import USER_HEADER, Environ, check_client_id

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens

_CALLER = "chatq.caller"


class Identity:
    """Finds out who calls: by token, or in development mode by a header alone."""

    def __init__(self, tokens: Tokens | None) -> None:
        """Take what checks tokens; None in development mode."""
        self._tokens = tokens

    def establish(self, environ: Environ) -> Caller:
        """Return who sends this request; :func:`caller` knows it from now on.

        Raises:
            NotAuthenticated: a token is needed, and there is none, or it is not valid.
            Forbidden: the request is said to be in the name of somebody for whom the caller may not act.
            InvalidFields: the header names something that is no user's id.
            NotReady: the token cannot be checked at present.
        """
        user: str | None = environ.get("HTTP_X_CHATQ_USER")
        if user is not None:
            check_client_id(USER_HEADER, user)
        if self._tokens is None:
            found = _believed(user)
        else:
            found = self._tokens.verify(_bearer(environ.get("HTTP_AUTHORIZATION")))
            if user is not None:
                found = found.on_behalf_of(user)
        environ[_CALLER] = found
        return found


def caller(environ: Environ) -> Caller:
    """Return who sends this request."""
    found: Caller = environ[_CALLER]
    return found


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise NotAuthenticated("A token is needed: `Authorization: Bearer …`.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused("A token is needed: `Authorization: Bearer …`; other schemes are not known.")
    return token.strip(" ")


@lru_cache(maxsize=1024)
def _believed(user: str | None) -> Caller:
    return Caller(user, verified=False)
