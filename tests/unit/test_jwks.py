"""Tokens of an identity provider: real RSA and EC keys behind a real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chatq.access import fetching
from chatq.access.fetching import MAX_BYTES, fetch
from chatq.access.jwks import COOLDOWN_SECONDS, FRESH_SECONDS, RETRY_SECONDS, KeySet
from chatq.access.tokens import Tokens
from chatq.errors import NotReady, TokenRefused
from tests.parts.issuer import Issuer, ec_key, public, rsa_key
from tests.parts.people import SECRET
from tests.parts.waiting import PATIENCE_SECONDS, until


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture
def issuer(shared_issuer: Issuer) -> Iterator[Issuer]:
    """The issuer, as if it were new."""
    keys = dict(shared_issuer.keys)
    shared_issuer.requests = 0
    yield shared_issuer
    shared_issuer.keys = keys
    shared_issuer.answer = None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> KeySet:
    return KeySet(issuer.url, clock=clock)


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        tokens.verify(token)
    return caught.value.detail


# --- which tokens --------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", ["r", "e"])
@pytest.mark.parametrize("name_key", [True, False])
def test_tokens_of_both_kinds_of_keys_are_believed(issuer: Issuer, keys: KeySet, kid: str, name_key: bool) -> None:
    assert Tokens(keys=keys).verify(issuer.sign("ann", kid, name_key=name_key)).user_id == "ann"


def test_expiry_and_audience_hold_for_them_too(issuer: Issuer, keys: KeySet) -> None:
    tokens = Tokens(keys=keys, audience="chat")
    assert tokens.verify(issuer.sign(aud=["chat"])).user_id == "alice"
    assert "audience" in refusal(tokens, issuer.sign())
    assert "expired" in refusal(tokens, issuer.sign(aud="chat", exp=int(time.time()) - 60))


def test_a_strangers_key_is_no_use_whatever_it_is_called(issuer: Issuer, keys: KeySet) -> None:
    tokens = Tokens(keys=keys)
    for kid, key in (("r", rsa_key()), ("e", ec_key())):
        genuine, issuer.keys[kid] = issuer.keys[kid], key
        forged = issuer.sign(kid=kid)
        issuer.keys[kid] = genuine
        assert "signature" in refusal(tokens, forged)


def test_a_key_of_one_kind_verifies_nothing_of_another(issuer: Issuer, keys: KeySet) -> None:
    tokens = Tokens(keys=keys)
    token = jwt.encode({"sub": "alice", "exp": time.time() + 60}, issuer.keys["e"], "ES256", {"kid": "r"})
    assert "'r'" in refusal(tokens, token)


def test_a_public_key_is_never_taken_for_a_secret(issuer: Issuer, keys: KeySet) -> None:
    # The classic confusion: HS256 with the public key, which everybody has, as its secret.
    pem = issuer.keys["r"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = jwt.PyJWS().encode(b'{"sub": "alice", "exp": 9999999999}', SECRET, "HS256", {"kid": "r"})
    signing_input = forged.rpartition(".")[0]
    signature = base64.urlsafe_b64encode(hmac.digest(pem, signing_input.encode(), hashlib.sha256)).decode().rstrip("=")
    for tokens in (Tokens(keys=keys), Tokens(keys=keys, secret=SECRET)):
        assert refusal(tokens, f"{signing_input}.{signature}")


def test_without_keys_none_are_taken_and_with_both_each_has_its_own(issuer: Issuer, keys: KeySet) -> None:
    shared = jwt.encode({"sub": "bob", "exp": time.time() + 60}, SECRET)
    assert "RS256 or ES256 is needed" in refusal(Tokens(keys=keys), shared)
    assert "HS256 is needed" in refusal(Tokens(secret=SECRET), issuer.sign())
    both = Tokens(keys=keys, secret=SECRET)
    assert (both.verify(shared).user_id, both.verify(issuer.sign()).user_id) == ("bob", "alice")
    assert issuer.requests == 1


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_the_same_key_are_refused(issuer: Issuer, keys: KeySet, algorithm: str) -> None:
    token = jwt.encode({"sub": "alice", "exp": time.time() + 60}, issuer.keys["r"], algorithm, {"kid": "r"})
    assert "is needed" in refusal(Tokens(keys=keys), token)
    assert issuer.requests == 0, "nothing is fetched for a token that cannot be good"


@pytest.mark.parametrize("kid", ["", "x" * 5000, "../r", "r\0"])
def test_key_ids_of_any_kind_are_looked_up_and_no_more(issuer: Issuer, keys: KeySet, kid: str) -> None:
    token = jwt.encode({"sub": "alice", "exp": time.time() + 60}, issuer.keys["r"], "RS256", {"kid": kid})
    assert len(refusal(Tokens(keys=keys), token)) < 300


# --- which keys ----------------------------------------------------------------------------------


def test_keys_that_are_not_for_this_are_passed_over(issuer: Issuer, keys: KeySet) -> None:
    good = issuer.keys["r"]
    issuer.publish(
        {"kty": "oct", "kid": "r", "k": "c2VjcmV0"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": []},
        {"kty": ["RSA"], "crv": {}},
        {"kty": "EC", "kid": "e", "crv": "P-256", "x": "AA", "y": "AA"},
        public(ec_key(ec.SECP384R1()), "e"),
        public(good, "r", use="enc"),
        public(good, "r", alg="RS512"),
        {**public(rsa_key(), "r"), "d": "AQAB"},
        public(good, "fine", use="sig", alg="RS256"),
    )
    tokens = Tokens(keys=keys)
    issuer.keys["fine"] = good
    assert tokens.verify(issuer.sign(kid="fine")).user_id == "alice"
    for kid in ("r", "e"):
        assert repr(kid) in refusal(tokens, issuer.sign(kid=kid))


def test_among_several_a_token_must_name_its_key(issuer: Issuer, keys: KeySet) -> None:
    issuer.keys["r2"] = rsa_key()
    tokens = Tokens(keys=keys)
    assert "names no key" in refusal(tokens, issuer.sign(name_key=False))
    assert tokens.verify(issuer.sign(kid="r2")).user_id == "alice"


# --- when they are fetched -----------------------------------------------------------------------


def test_keys_are_fetched_once(issuer: Issuer, keys: KeySet) -> None:
    tokens = Tokens(keys=keys)
    assert issuer.requests == 0
    for user in ("ann", "bob", "cleo"):
        tokens.verify(issuer.sign(user))
    assert issuer.requests == 1


def test_a_new_key_is_found_but_made_up_ones_lead_to_few_requests(issuer: Issuer, keys: KeySet, clock: Clock) -> None:
    tokens = Tokens(keys=keys)
    tokens.verify(issuer.sign())
    made_up = issuer.sign()
    issuer.keys["new"] = rsa_key()
    for number in range(20):
        token = jwt.encode({"sub": "x", "exp": time.time() + 60}, issuer.keys["r"], "RS256", {"kid": str(number)})
        refusal(tokens, token)
        refusal(tokens, issuer.sign(kid="new"))
    assert issuer.requests == 1
    clock.now += COOLDOWN_SECONDS
    assert tokens.verify(issuer.sign(kid="new")).user_id == "alice"
    assert tokens.verify(made_up).user_id == "alice"
    assert issuer.requests == 2


@pytest.mark.parametrize("name_key", [True, False])
def test_another_key_under_the_same_id_or_none_is_found_too(
    issuer: Issuer, keys: KeySet, clock: Clock, name_key: bool
) -> None:
    # Given an issuer that changes its key; the new one has the same id, or none as before
    tokens, former = Tokens(keys=keys), issuer.sign("ann", name_key=name_key)
    tokens.verify(issuer.sign(name_key=name_key))
    issuer.keys["r"] = rsa_key()
    # Then as many forged tokens as there may be lead to few requests, and a genuine one is believed before long
    for _ in range(3):
        refusal(tokens, issuer.sign(name_key=name_key))
    assert issuer.requests == 1
    clock.now += COOLDOWN_SECONDS
    assert tokens.verify(issuer.sign(name_key=name_key)).user_id == "alice"
    assert "signature" in refusal(tokens, former)
    assert issuer.requests == 2


def test_a_withdrawn_key_is_given_up_after_a_while(issuer: Issuer, keys: KeySet, clock: Clock) -> None:
    tokens, old = Tokens(keys=keys), issuer.keys["r"]
    tokens.verify(issuer.sign("ann"))
    issuer.keys = {"new": rsa_key()}
    clock.now += FRESH_SECONDS
    issuer.keys["r"] = old
    token = issuer.sign("bob")
    del issuer.keys["r"]
    assert "'r'" in refusal(tokens, token)


def test_old_keys_serve_while_the_issuer_is_away(issuer: Issuer, keys: KeySet, clock: Clock) -> None:
    tokens = Tokens(keys=keys)
    tokens.verify(issuer.sign("ann"))
    issuer.answer = (500, b"", {})
    clock.now += FRESH_SECONDS
    assert tokens.verify(issuer.sign("bob")).user_id == "bob"
    assert tokens.verify(issuer.sign("cleo")).user_id == "cleo"
    assert issuer.requests == 2


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"", {}),
        (404, b"{}", {}),
        (302, b"", {"Location": "http://127.0.0.1:1/"}),
        (200, b"", {}),
        (200, b"<html>", {}),
        (200, b'{"keys": {}}', {}),
        (200, b'{"keys": []}', {}),
        (200, b'{"keys": [1]}', {}),
        (200, b'{"keys": [{"kty": "oct", "k": "AA"}]}', {}),
        (200, b"\xff", {}),
        (200, b" " * (MAX_BYTES + 1), {}),
        (200, b"{}", {"Content-Length": "1000"}),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1][:20]!r}",
)
def test_keys_that_cannot_be_had_are_the_servers_fault_and_asked_for_again(
    issuer: Issuer, keys: KeySet, clock: Clock, answer: Any
) -> None:
    tokens, token = Tokens(keys=keys), issuer.sign()
    issuer.answer = answer
    for _ in range(5):
        with pytest.raises(NotReady, match="cannot be checked"):
            tokens.verify(token)
    assert issuer.requests == 1
    issuer.answer = None
    clock.now += RETRY_SECONDS
    assert tokens.verify(token).user_id == "alice"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_an_answer_that_comes_drop_by_drop_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.3)
    # Given a server that says something all the time, and never comes to the end of a line
    enough = Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(start)
            while not enough.wait(0.05):
                connection.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = Thread(target=drip)
        dripping.start()
        # Then it counts as one that does not answer
        with pytest.raises(TimeoutError):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/keys")
        enough.set()
        dripping.join()


def test_nobody_listens() -> None:
    issuer = Issuer()
    token = issuer.sign()
    issuer.close()
    with pytest.raises(NotReady):
        Tokens(keys=KeySet(issuer.url)).verify(token)


def test_tokens_that_come_at_once_lead_to_one_request(issuer: Issuer, keys: KeySet) -> None:
    tokens = Tokens(keys=keys)
    issuer.open.clear()
    found: list[str | None] = []
    users = [f"user-{number}" for number in range(8)]
    signed = [issuer.sign(user) for user in users]
    threads = [Thread(target=lambda token=token: found.append(tokens.verify(token).user_id)) for token in signed]
    for thread in threads:
        thread.start()
    until(lambda: issuer.requests == 1)
    issuer.open.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(user or "" for user in found) == users
    assert issuer.requests == 1
