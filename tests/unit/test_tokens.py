"""Tokens signed with the shared secret: which are believed, and what is said of the others."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

import jwt
import pytest

from chatq.access import tokens as module
from chatq.access.callers import Caller
from chatq.access.tokens import LEEWAY_SECONDS, MAX_CHARACTERS, RECHECK_SECONDS, Tokens, sign
from chatq.errors import Forbidden, TokenRefused
from tests.parts.people import SECRET

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    said = {"sub": "alice", "exp": NOW + 60, **claims}
    return jwt.encode({name: value for name, value in said.items() if value is not None}, secret, algorithm)


def refusal(tokens: Tokens, text: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        tokens.verify(text)
    return caught.value.detail


# --- who it is -----------------------------------------------------------------------------------


def test_a_token_says_who_calls_and_until_when(clock: Clock) -> None:
    caller = Tokens(secret=SECRET, clock=clock).verify(token())
    assert caller == Caller("alice", verified=True, expires_at=NOW + 60 + LEEWAY_SECONDS)


@pytest.mark.parametrize(
    ("scope", "service"),
    [
        ("chatq:service", True),
        ("openid chatq:service email", True),
        (["openid", "chatq:service"], True),
        ("", False),
        ("chatq:services", False),
        ("xchatq:service", False),
        (["openid chatq:service"], False),
        (None, False),
    ],
)
def test_its_scope_makes_a_service(clock: Clock, scope: object, service: bool) -> None:
    assert Tokens(secret=SECRET, clock=clock).verify(token(scope=scope)).service is service


def test_a_token_of_the_command_is_believed() -> None:
    signed = sign(SECRET, "ann", expires_at=time.time() + 60, audience="chat", service=True)
    caller = Tokens(secret=SECRET, audience="chat").verify(signed)
    assert (caller.user_id, caller.service) == ("ann", True)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": NOW - LEEWAY_SECONDS}, "expired"),
        ({"exp": None}, "`exp`"),
        ({"exp": "tomorrow"}, r"\$.exp"),
        ({"exp": True}, r"\$.exp"),
        ({"exp": -1}, r"\$.exp"),
        ({"exp": 10**400}, r"\$.exp|claims"),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "not valid yet"),
        ({"nbf": "now"}, r"\$.nbf"),
        ({"sub": None}, "sub is missing"),
        ({"sub": ""}, "sub must be"),
        ({"sub": "a b"}, "sub must be"),
        ({"sub": "a" * 129}, "sub must be"),
        ({"scope": {"chatq:service": 1}}, r"\$.scope"),
    ],
)
def test_claims_that_cannot_be_believed_are_named(clock: Clock, claims: dict[str, Any], said: str) -> None:
    detail = refusal(Tokens(secret=SECRET, clock=clock), _signed({"sub": "alice", "exp": NOW + 60, **claims}))
    assert re.search(said, detail), detail


def _signed(claims: dict[str, Any]) -> str:
    """Sign claims of any kind, which a library would not."""
    payload = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    return jwt.PyJWS().encode(payload, SECRET, "HS256")


def test_clocks_may_differ_a_little(clock: Clock) -> None:
    tokens = Tokens(secret=SECRET, clock=clock)
    assert tokens.verify(token(exp=NOW - LEEWAY_SECONDS + 1)).user_id == "alice"
    assert tokens.verify(token(nbf=NOW + LEEWAY_SECONDS)).user_id == "alice"


@pytest.mark.parametrize(
    ("audience", "allowed"),
    [("chat", True), (["mail", "chat"], True), ("mail", False), ([], False), (None, False), ("chatter", False)],
)
def test_a_configured_audience_must_be_named(clock: Clock, audience: object, allowed: bool) -> None:
    tokens = Tokens(secret=SECRET, audience="chat", clock=clock)
    if allowed:
        assert tokens.verify(token(aud=audience)).user_id == "alice"
    else:
        assert "audience" in refusal(tokens, token(aud=audience))


def test_without_a_configured_audience_any_will_do(clock: Clock) -> None:
    assert Tokens(secret=SECRET, clock=clock).verify(token(aud="mail")).user_id == "alice"


def test_another_secret_is_no_use(clock: Clock) -> None:
    assert "signature" in refusal(Tokens(secret=SECRET, clock=clock), token(secret=SECRET + "!"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_secret(clock: Clock, algorithm: str) -> None:
    long = SECRET * 2
    assert "HS256 is needed" in refusal(Tokens(secret=long, clock=clock), token(long, algorithm))


@pytest.mark.parametrize("algorithm", ["none", "NONE", "nOnE", "", "RS256", "ES256", "HS256 ", None, 256, ["HS256"]])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_no_header_makes_a_signature_needless(clock: Clock, algorithm: object, signature: str) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({'sub': 'alice', 'exp': NOW + 60})}.{signature}"
    assert refusal(Tokens(secret=SECRET, clock=clock), text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "ä.b.c", "a b.c.d", "e30.e30.e30", "\ud800.a.b", "[].a.b", "a.b.c\n"],
)
def test_what_is_no_token_is_called_so(clock: Clock, text: str) -> None:
    assert refusal(Tokens(secret=SECRET, clock=clock), text)


def test_a_token_is_not_endless(clock: Clock) -> None:
    assert "longer" in refusal(Tokens(secret=SECRET, clock=clock), token(more="x" * MAX_CHARACTERS))


def test_an_extension_that_must_be_understood_is_not(clock: Clock) -> None:
    text = jwt.encode({"sub": "alice", "exp": NOW + 60}, SECRET, "HS256", {"crit": ["x"], "x": 1})
    assert "x" in refusal(Tokens(secret=SECRET, clock=clock), text)


def test_its_words_can_be_told_whatever_they_are(clock: Clock) -> None:
    text = jwt.encode({"sub": "alice", "exp": NOW + 60}, SECRET, "HS256", {"crit": ["\ud800"]})
    assert "\\ud800" in refusal(Tokens(secret=SECRET, clock=clock), text)


# --- the second time -----------------------------------------------------------------------------


def test_a_known_token_is_refused_as_soon_as_it_has_expired(clock: Clock) -> None:
    tokens, text = Tokens(secret=SECRET, clock=clock), token()
    first = tokens.verify(text)
    clock.now += 60
    assert tokens.verify(text) is first
    clock.now += LEEWAY_SECONDS
    assert "expired" in refusal(tokens, text)
    clock.now -= 60
    assert tokens.verify(text) == first


def test_a_known_token_is_looked_at_again_after_a_while(clock: Clock) -> None:
    tokens, text = Tokens(secret=SECRET, clock=clock), token(exp=NOW + 3600)
    first = tokens.verify(text)
    clock.now += RECHECK_SECONDS
    again = tokens.verify(text)
    assert again == first
    assert again is not first


def test_only_so_many_tokens_are_known(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    tokens = Tokens(secret=SECRET, clock=clock)
    texts = [token(sub=f"user-{number}") for number in range(4)]
    kept = [tokens.verify(text) for text in texts[:3]]
    assert tokens.verify(texts[0]) is kept[0]
    tokens.verify(texts[3])
    assert tokens.verify(texts[0]) is kept[0], "the one asked for last stays"
    assert tokens.verify(texts[1]) is not kept[1]


# --- in whose name -------------------------------------------------------------------------------


def test_a_user_acts_for_no_other() -> None:
    alice = Caller("alice", verified=True)
    assert alice.acting_as(None) == alice.acting_as("alice") == "alice"
    assert alice.on_behalf_of("alice") == alice
    for act in (alice.acting_as, alice.on_behalf_of):
        with pytest.raises(Forbidden, match=r"'alice'.*'bob'"):
            act("bob")


def test_a_service_acts_for_anybody_but_for_one_at_a_time() -> None:
    service = Caller("backend", verified=True, service=True)
    assert service.acting_as(None) == "backend"
    assert service.acting_as("bob") == "bob"
    for_alice = service.on_behalf_of("alice")
    assert for_alice.acting_as(None) == for_alice.acting_as("alice") == "alice"
    with pytest.raises(Forbidden):
        for_alice.acting_as("bob")
