"""Tokens: believed is what was signed, is in time and names a user; of the rest nothing ends in another error."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import jwt
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chatq.access.jwks import usable_keys
from chatq.access.tokens import LEEWAY_SECONDS, SERVICE_SCOPE, Tokens
from chatq.domain.ids import is_client_id
from chatq.errors import TokenRefused
from tests.parts.people import SECRET

NOW = 1_800_000_000.0

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
near = st.integers(int(NOW) - 20, int(NOW) + 20)
users = st.from_regex(r"[A-Za-z0-9._:@+~-]{1,128}", fullmatch=True)


def believed(token: str, tokens: Tokens | None = None) -> Any:
    """Return the caller, or None if the token is refused; any other error is a failure."""
    try:
        return (tokens or Tokens(secret=SECRET, clock=lambda: NOW)).verify(token)
    except TokenRefused as error:
        refused = error
    assert refused.detail
    assert SECRET not in refused.detail
    return None


def signed(payload: object, secret: str = SECRET) -> str:
    return jwt.PyJWS().encode(json.dumps(payload).encode(), secret, "HS256")


@given(user=users, ends=near, begins=st.none() | near, scopes=st.lists(st.sampled_from([SERVICE_SCOPE, "a", "b"])))
def test_what_is_signed_and_in_time_is_believed(user: str, ends: int, begins: int | None, scopes: list[str]) -> None:
    caller = believed(signed({"sub": user, "exp": ends, "nbf": begins, "scope": " ".join(scopes)}))

    if ends + LEEWAY_SECONDS > NOW and (begins is None or begins - LEEWAY_SECONDS <= NOW):
        assert (caller.user_id, caller.verified, caller.service) == (user, True, SERVICE_SCOPE in scopes)
        assert caller.expires_at == ends + LEEWAY_SECONDS
    else:
        assert caller is None


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("sub", "exp", "nbf", "aud", "scope", "iat", "iss", "jti"), anything)
    )
    | anything
)
def test_no_claims_end_in_an_error(claims: Any) -> None:
    for tokens in (None, Tokens(secret=SECRET, audience="chat", clock=lambda: NOW)):
        caller = believed(signed(claims), tokens)
        if caller is not None:
            assert is_client_id(claims["sub"])
            assert claims["exp"] + LEEWAY_SECONDS > NOW


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){0,4}", fullmatch=True))
def test_no_text_is_believed(text: str) -> None:
    assert believed(text) is None


@given(
    header=anything
    | st.fixed_dictionaries({"alg": anything}, optional={"kid": anything, "crit": anything, "b64": anything})
)
def test_no_header_is_believed_without_a_signature(header: Any) -> None:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    payload = json.dumps({"sub": "alice", "exp": NOW + 60}).encode()
    for signature in ("", part(b"\0" * 32)):
        assert believed(f"{part(json.dumps(header).encode())}.{part(payload)}.{signature}") is None


@given(st.integers(0), st.sampled_from("AQgw4-_."))
def test_no_change_of_a_token_changes_who_it_is(at: int, letter: str) -> None:
    token = signed({"sub": "alice", "exp": NOW + 60})
    at %= len(token)
    caller = believed(token[:at] + letter + token[at + 1 :])
    # The last letter of a part has bits that stand for nothing.
    assert caller is None or caller.user_id == "alice"


@given(st.text(min_size=32, max_size=60))
def test_no_other_secret_will_do(secret: str) -> None:
    token = signed({"sub": "alice", "exp": NOW + 60}, "another secret of thirty-two bytes or more")
    assert believed(token, Tokens(secret=secret, clock=lambda: NOW)) is None


@given(st.binary(max_size=100) | anything.map(lambda value: json.dumps({"keys": value}).encode()))
def test_no_key_set_ends_in_an_error_that_is_not_foreseen(document: bytes) -> None:
    _read_keys(document)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"kty": st.sampled_from(["RSA", "EC", "oct", "OKP"]) | anything},
            optional={
                "crv": st.sampled_from(["P-256", "P-384"]) | anything,
                **{name: anything | st.sampled_from(["AQAB", "AA"]) for name in ("n", "e", "x", "y", "k", "d", "alg")},
            },
        ),
        max_size=3,
    )
)
def test_no_key_ends_in_an_error_that_is_not_foreseen(keys: list[Any]) -> None:
    _read_keys(json.dumps({"keys": keys}).encode())


def _read_keys(document: bytes) -> None:
    with suppress(ValueError, msgspec.DecodeError):
        usable_keys(document)
