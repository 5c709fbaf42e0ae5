"""What a client can read of its token."""

from __future__ import annotations

import base64
import binascii
import json


def expiry(token: str) -> float | None:
    """Return when a JWT expires, in seconds since 1970; None if that cannot be read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
