"""The public keys that somebody else signs tokens with, as a JSON Web Key Set (RFC 7517) behind a URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.client import HTTPException
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from chatq.access.fetching import fetch
from chatq.errors import NotReady, TokenRefused

ALGORITHMS = ("RS256", "ES256")
FRESH_SECONDS = 300.0
"""Keys that are older are asked for again, and serve until the answer is there."""
COOLDOWN_SECONDS = 10.0
"""After so long an unknown key id may lead to another request: anybody can make key ids up."""
RETRY_SECONDS = 2.0
"""After so long keys are asked for again that could not be had."""

log = structlog.get_logger("chatq.access")


class KeySet:
    """Fetches keys when they are needed, and keeps them; one request at a time, however many tokens wait for it."""

    algorithms = ALGORITHMS

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the URL; ``clock`` gives seconds from any beginning."""
        self._url = url
        self._clock = clock
        self._keys: list[PyJWK] = []
        self._fetched_at = float("-inf")
        self._next_at = float("-inf")
        self._failed = False
        self._fetching = Lock()

    def find(self, algorithm: str, key_id: str | None) -> PyJWK:
        """Return the key with an id, or, of a token that names none, the only one for its algorithm.

        Raises:
            TokenRefused: there is none.
            NotReady: it is not known, and the keys cannot be fetched.
        """
        key = self._find(algorithm, key_id)
        if key is None:
            with self._fetching:
                self._fetch_if_due()
            if self._failed:
                raise NotReady("The token cannot be checked at present: its issuer's keys cannot be fetched.")
        elif self._clock() - self._fetched_at >= FRESH_SECONDS and self._fetching.acquire(blocking=False):
            try:
                self._fetch_if_due()
            finally:
                self._fetching.release()
        key = self._find(algorithm, key_id)
        if key is None:
            named = "names no key, and there is not exactly one" if key_id is None else f"key {key_id[:100]!r} is none"
            raise TokenRefused(f"The token's {named} of its issuer's keys for {algorithm}.")
        return key

    def find_newer(self, algorithm: str, key_id: str | None, key: PyJWK) -> PyJWK | None:
        """Return what took the place of a key that :meth:`find` returned; None if nothing did, as far as is known."""
        with self._fetching:
            self._fetch_if_due()
        newer = self._find(algorithm, key_id)
        return None if newer is key else newer

    def _find(self, algorithm: str, key_id: str | None) -> PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm and key_id in {None, key.key_id}]
        return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None

    def _fetch_if_due(self) -> None:
        if self._clock() < self._next_at:
            return
        try:
            self._keys = usable_keys(fetch(self._url))
        except (OSError, HTTPException, ValueError, msgspec.DecodeError) as error:
            self._failed = True
            self._next_at = self._clock() + RETRY_SECONDS
            log.warning("keys cannot be fetched", server=urlsplit(self._url).hostname, reason=str(error))
        else:
            self._failed = False
            self._fetched_at = self._clock()
            self._next_at = self._fetched_at + COOLDOWN_SECONDS


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


def usable_keys(document: bytes) -> list[PyJWK]:
    """Return the keys of a JSON Web Key Set that signatures of our algorithms can be verified with.

    Raises:
        msgspec.DecodeError: it is no such set.
        ValueError: it has no such key.
    """
    found = [key for entry in msgspec.json.decode(document, type=_Document).keys if (key := _usable(entry)) is not None]
    if not found:
        raise ValueError("the set has no RSA key of 2048 bits or more for RS256, and no P-256 key for ES256")
    return found


def _usable(entry: dict[str, Any]) -> PyJWK | None:
    if entry.get("kty") == "RSA":
        algorithm = "RS256"
    elif entry.get("kty") == "EC" and entry.get("crv") == "P-256":
        algorithm = "ES256"
    else:
        return None
    if entry.get("alg", algorithm) != algorithm or entry.get("use", "sig") != "sig":
        return None
    if "d" in entry:
        log.warning("a private key is published, and not trusted", kid=entry.get("kid"))
        return None
    try:
        key = PyJWK(entry, algorithm)
    except (PyJWTError, TypeError, ValueError, KeyError):
        return None
    return None if key.Algorithm.check_key_length(key.key) else key
