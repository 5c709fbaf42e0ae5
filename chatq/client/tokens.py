"""A client's tokens: where they come from, and when the next one is due."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
from collections.abc import Callable

from chatq.client.loop import Loop, Timer

RENEWAL_SECONDS = 30.0
"""How long before its end a token is replaced."""
DAY_SECONDS = 86_400.0

log = logging.getLogger("chatq.client")


class Tokens:
    """The present token, and its successor in time."""

    def __init__(self, loop: Loop, get: Callable[[], str] | None, renewable: bool) -> None:
        """Take what returns a token, and whether it may return another one next time."""
        self.get = get
        self.renewable = renewable
        self.current: str | None = None
        self._loop = loop
        self._timer: Timer | None = None

    def watch(self, replaced: Callable[[str], None]) -> None:
        """Have ``replaced`` called with a new token a while before the present one expires, unless :meth:`stop` is."""
        self.stop()
        expires = expiry(self.current) if self.renewable and self.current is not None else None
        if expires is None or (left := expires - time.time()) <= 0:
            return  # the server will say when it has had enough of it
        if left > DAY_SECONDS:
            self._timer = self._loop.after(DAY_SECONDS, lambda: self.watch(replaced))
        else:
            pause = left - min(RENEWAL_SECONDS, left / 5)
            self._timer = self._loop.after(pause, lambda: self._renew(replaced))

    def stop(self) -> None:
        """Replace nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _renew(self, replaced: Callable[[str], None]) -> None:
        timer = self._timer

        def fetch() -> None:
            try:
                token = self.get() if self.get is not None else None
            except Exception:
                # Once the present one has expired, the server ends the connection, and the next begins with a new one.
                log.exception("there is no new token")
            else:
                self._loop.post(lambda: replace(token))

        def replace(token: str | None) -> None:
            if token is not None and token != self.current and timer is self._timer:
                self.current = token
                replaced(token)

        # The user's own function may take its time.
        threading.Thread(target=fetch, name="chatq-token", daemon=True).start()


def expiry(token: str) -> float | None:
    """Return when a JWT expires, in seconds since 1970; None if that cannot be read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
