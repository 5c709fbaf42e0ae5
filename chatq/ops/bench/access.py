"""How the run's clients get in where the API asks for tokens: as a service, with a token that the run signs itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from chatq.access.tokens import sign
from chatq.domain.wire import encode
from chatq.errors import ChatqError
from chatq.ops.bench.http import HttpClient
from chatq.settings import Settings

VALID_SECONDS = 86400


class Access:
    """A token, and what the run's own API needs besides its settings to believe it."""

    def __init__(self, settings: Settings, user: str) -> None:
        self.token: str | None = None
        """None in development mode without a limit."""
        self.environment: dict[str, str] = {}
        if settings.asks_for_tokens or settings.rate_limit is not None:
            # An API that has public keys only takes a secret beside them; and services alone may send without limit.
            secret = settings.jwt_secret or secrets.token_hex(32)
            self.environment["CHATQ_JWT_SECRET"] = secret
            expires_at = time.time() + VALID_SECONDS
            self.token = sign(secret, user, expires_at=expires_at, audience=settings.jwt_audience, service=True)

    def make_conversations(self, port: int, names: Sequence[str]) -> None:
        """Make the run's conversations; in development mode the first message to each does.

        Raises:
            ChatqError: the API does not have it so.
        """
        if self.token is None:
            return
        with HttpClient(port, self.token) as client:
            for name in names:
                answer = client.request("POST", "/api/conversations", encode({"id": name}))
                if answer.status != 201:
                    raise ChatqError(f"A conversation could not be made: {answer.status} {answer.body.decode()}")
