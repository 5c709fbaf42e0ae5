"""How the run's clients get in where the API asks for tokens: as a service, with a token that the run signs itself."""

from __future__ import annotations

import secrets
import time

from chatq.access.tokens import sign
from chatq.settings import Settings

VALID_SECONDS = 86400


class Access:
    """A token, and what the run's own API needs besides its settings to believe it."""

    def __init__(self, settings: Settings, user: str) -> None:
        self.token: str | None = None
        """None in development mode."""
        self.environment: dict[str, str] = {}
        if settings.asks_for_tokens:
            # An API that has public keys only takes a secret beside them.
            secret = settings.jwt_secret or secrets.token_hex(32)
            self.environment["CHATQ_JWT_SECRET"] = secret
            expires_at = time.time() + VALID_SECONDS
            self.token = sign(secret, user, expires_at=expires_at, audience=settings.jwt_audience, service=True)
