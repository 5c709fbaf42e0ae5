"""JSON Web Tokens (RFC 7519): who they say is calling, and whether that may be believed."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated

import jwt
import msgspec
from jwt.exceptions import InvalidSignatureError, PyJWTError

from chatq.access.callers import Caller
from chatq.access.jwks import KeySet
from chatq.domain.ids import CLIENT_ID_IN_WORDS, is_client_id
from chatq.errors import TokenRefused

SHARED = "HS256"
"""The algorithm of tokens signed with the shared secret; :data:`chatq.access.jwks.ALGORITHMS` are those of key sets."""
SERVICE_SCOPE = "chatq:service"
LEEWAY_SECONDS = 5.0
"""How far the clocks of who signs tokens and who checks them may differ."""
RECHECK_SECONDS = 300.0
"""After so long a token that is known is looked at as if it were new: its key may have been withdrawn."""
MAX_KNOWN = 10_000
MAX_CHARACTERS = 8192

_SIGNATURES = jwt.PyJWS()
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\Z")

Second = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Claims(msgspec.Struct, omit_defaults=True):
    """What chatq reads of a token."""

    exp: Second
    sub: str | None = None
    nbf: Second | None = None
    aud: str | list[str] | None = None
    scope: str | list[str] | None = None


class Tokens:
    """Checks tokens, and remembers for a while which ones it has found good.

    The algorithm that a token names is only ever tried with keys of its own kind: the secret verifies HS256 and
    nothing else, a public key RS256 or ES256, as its kind is, and nothing else.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        keys: KeySet | None = None,
        audience: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take at least one of ``secret`` and ``keys``; ``clock`` gives the seconds since 1970."""
        self._secret = secret
        self._keys = keys
        self._audience = audience
        self._clock = clock
        self._known: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        """Callers by token, with the time until which they are known; the one asked for last stands last."""

    def verify(self, token: str) -> Caller:
        """Return who calls.

        Raises:
            TokenRefused: saying why the token is not believed.
            NotReady: its key would have to be fetched, and cannot be.
        """
        now = self._clock()
        known = self._known.get(token)
        if known is not None and now < known[1]:
            self._known.move_to_end(token)
            return known[0]
        claims = self._read(token)
        caller = self._check(claims, now)
        self._known[token] = (caller, min(claims.exp + LEEWAY_SECONDS, now + RECHECK_SECONDS))
        self._known.move_to_end(token)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return caller

    def _read(self, token: str) -> Claims:
        """Return the claims of a token whose signature is right."""
        if len(token) > MAX_CHARACTERS:
            raise TokenRefused(f"The token is longer than {MAX_CHARACTERS} characters.")
        if not _FORM.match(token):
            raise TokenRefused("The token is no JSON Web Token: three parts in base64url, with dots between them.")
        try:
            header = jwt.get_unverified_header(token)
            payload = self._payload(token, header.get("alg"), header.get("kid"))
            return msgspec.json.decode(payload, type=Claims)
        except InvalidSignatureError:
            raise TokenRefused("The token's signature is wrong: it was signed with another key, or changed.") from None
        except PyJWTError as error:
            raise TokenRefused(f"The token cannot be read: {_in_words(error)}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TokenRefused(f"The token's claims cannot be used: {_in_words(error)}.") from None

    def _payload(self, token: str, algorithm: object, key_id: str | None) -> bytes:
        key = self._key(algorithm, key_id)
        try:
            payload: bytes = _SIGNATURES.decode(token, key, [str(algorithm)])
        except InvalidSignatureError:
            if self._keys is None or isinstance(key, str):
                raise
            # Where keys have no ids, or a new one has the old one's, the issuer may have another by now.
            newer = self._keys.find_newer(str(algorithm), key_id, key)
            if newer is None:
                raise
            payload = _SIGNATURES.decode(token, newer, [str(algorithm)])
        return payload

    def _key(self, algorithm: object, key_id: str | None) -> str | jwt.PyJWK:
        accepted: list[str] = []
        if self._secret is not None:
            if algorithm == SHARED:
                return self._secret
            accepted.append(SHARED)
        if self._keys is not None:
            if algorithm in self._keys.algorithms:
                return self._keys.find(str(algorithm), key_id)
            accepted.extend(self._keys.algorithms)
        raise TokenRefused(f"The token's algorithm is {str(algorithm)[:20]!r}; here {' or '.join(accepted)} is needed.")

    def _check(self, claims: Claims, now: float) -> Caller:
        if now >= claims.exp + LEEWAY_SECONDS:
            raise TokenRefused("The token has expired.")
        if claims.nbf is not None and now < claims.nbf - LEEWAY_SECONDS:
            raise TokenRefused("The token is not valid yet.")
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud or []
        if self._audience is not None and self._audience not in audiences:
            raise TokenRefused(f"The token is for another audience: its aud must name {self._audience!r}.")
        if claims.sub is None:
            raise TokenRefused("The token names nobody: its sub is missing.")
        if not is_client_id(claims.sub):
            raise TokenRefused(f"The token's sub must be {CLIENT_ID_IN_WORDS}.")
        scopes = claims.scope.split(" ") if isinstance(claims.scope, str) else claims.scope or []
        return Caller(
            user_id=claims.sub,
            verified=True,
            service=SERVICE_SCOPE in scopes,
            expires_at=claims.exp + LEEWAY_SECONDS,
        )


def _in_words(error: Exception) -> str:
    """Return what is wrong with a token; its own words in it may hold half a surrogate pair, which nothing can send."""
    return str(error)[:200].encode(errors="backslashreplace").decode()


def sign(secret: str, user_id: str, *, expires_at: float, audience: str | None = None, service: bool = False) -> str:
    """Return a token of a user, signed with the shared secret; ``expires_at`` is in seconds since 1970."""
    claims = Claims(exp=int(expires_at), sub=user_id, aud=audience, scope=SERVICE_SCOPE if service else None)
    return jwt.encode(msgspec.to_builtins(claims), secret, SHARED)
