"""``chatq token``: a token for development."""

from __future__ import annotations

import json
import time

import jwt
import pytest

from chatq.domain.clock import seconds
from tests.parts.command import Chatq
from tests.parts.people import SECRET


@pytest.fixture
def chatq(chatq: Chatq) -> Chatq:
    """The command, where a secret is set."""
    chatq.environment["CHATQ_JWT_SECRET"] = SECRET
    return chatq


def test_a_token_and_nothing_else_is_printed(chatq: Chatq) -> None:
    done = chatq("token", "--user", "alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    claims = jwt.decode(done.stdout.strip(), SECRET, ["HS256"])
    assert set(claims) == {"sub", "exp"}
    assert claims["sub"] == "alice"
    assert 3500 < claims["exp"] - time.time() <= 3600


def test_a_services_token_says_so_and_ends_when_it_is_told(chatq: Chatq) -> None:
    done = chatq(
        "token", "--user", "backend", "--service", "--expires", "86400", "--json", env={"CHATQ_JWT_AUDIENCE": "chat"}
    )
    document = json.loads(done.stdout)
    claims = jwt.decode(document["token"], SECRET, ["HS256"], audience="chat")
    assert claims["scope"] == "chatq:service"
    assert (document["userId"], document["service"]) == ("backend", True)
    assert seconds(document["expiresAt"]) == claims["exp"]
    assert 86300 < claims["exp"] - time.time() <= 86400


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--user"),
        (["--user", ""], "--user ''"),
        (["--user", "a b"], "--user 'a b'"),
        (["--user", "alice", "--expires", "0"], "--expires"),
        (["--user", "alice", "--expires", "soon"], "--expires"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(chatq: Chatq, arguments: list[str], said: str) -> None:
    done = chatq.run_forked("token", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "settings", [{}, {"CHATQ_JWT_JWKS_URL": "https://id.example/keys"}], ids=["none", "public keys"]
)
def test_without_a_secret_it_says_what_to_set(chatq: Chatq, settings: dict[str, str]) -> None:
    done = chatq("token", "--user", "alice", env={"CHATQ_JWT_SECRET": "", **settings})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("chatq: CHATQ_JWT_SECRET is not set")


def test_a_secret_that_is_too_short_is_refused_and_not_shown(chatq: Chatq) -> None:
    done = chatq("token", "--user", "alice", env={"CHATQ_JWT_SECRET": "hunter2"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "32 bytes" in done.stderr
    assert "hunter2" not in done.stderr
