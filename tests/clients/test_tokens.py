"""Tokens that are renewed, expire or are refused, and connections that the server does not want back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from tests.clients.conftest import EVERY_KIND, Open
from tests.clients.driven import Driven, Refused
from tests.parts.people import SECRET
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import until
from tests.parts.wire import Wire


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {"CHATQ_JWT_SECRET": SECRET}


def token(seconds: float, user: str = "alice", secret: str = SECRET) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time() + seconds)}, secret, "HS256")


@pytest.fixture
def wire(roles: Roles) -> Iterator[Wire]:
    """A network on which no connection is given up for a heartbeat that came late: connections are counted here."""
    wire = Wire(roles.port, quick=False)
    yield wire
    wire.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "token"


def states(client: Driven) -> list[str]:
    return [event["state"] for event in client.events if event["type"] == "state"]


@pytest.fixture
def conversation(roles: Roles) -> str:
    """A conversation of alice's."""
    conversation = fresh()
    answer = roles.http.post(
        "/api/conversations", json={"id": conversation}, headers={"Authorization": f"Bearer {token(60)}"}
    )
    assert answer.status_code == 201, answer.text
    return conversation


@EVERY_KIND
def test_token_is_renewed_before_it_expires_and_the_connection_stays(
    open_client: Open, wire: Wire, conversation: str, token_file: Path
) -> None:
    # Given a client that, however long it takes to start, gets a token of some seconds, and then finds another one
    os.mkfifo(token_file)
    client = open_client(wire.url, tokenFile=str(token_file))
    with token_file.open("w") as asked:
        expires = time.time() + 4
        asked.write(token(4))
    token_file.unlink()
    token_file.write_text(token(3600))
    client.do("join", conversationId=conversation, since=0)
    client.wait(lambda: client.count("token") == 2)
    # A connection whose time is over is closed within a second.
    until(lambda: time.time() > expires + 2)
    client.do("send", conversationId=conversation, content="still here")
    client.wait(lambda: client.contents(conversation) == ["still here"])
    assert (client.count("token"), wire.connections) == (2, 1)


def test_connection_whose_token_expired_comes_back_with_a_new_one(
    open_client: Open, wire: Wire, conversation: str, token_file: Path
) -> None:
    token_file.write_text(token(3600))
    client = open_client(wire.url, tokenFile=str(token_file))
    client.do("join", conversationId=conversation, since=0)
    wire.end(4401)
    client.do("send", conversationId=conversation, content="back")
    client.wait(lambda: client.contents(conversation) == ["back"])
    assert (client.count("token"), wire.connections) == (2, 2)
    # Once more is another time, not the second in a row.
    wire.end(4401)
    client.do("send", conversationId=conversation, content="again")
    assert client.do("history", conversationId=conversation, limit=1)["messages"][0]["content"] in {"back", "again"}


@pytest.mark.parametrize("how", ["tokenFile", "token"])
def test_token_that_is_refused_twice_ends_the_client(open_client: Open, wire: Wire, token_file: Path, how: str) -> None:
    token_file.write_text(token(3600, secret="another secret that is long enough for HS256 to be"))
    client = open_client(wire.url, **{how: str(token_file) if how == "tokenFile" else token_file.read_text()})
    with pytest.raises(Refused):
        client.do("send", conversationId=fresh(), content="hello")
    assert client.do("state") == "closed"
    assert wire.connections == (2 if how == "tokenFile" else 1)
    with pytest.raises(Refused):
        client.do("join", conversationId=fresh())


def test_client_without_a_token_is_told_that_it_needs_one(open_client: Open) -> None:
    client = open_client(userId="alice")
    with pytest.raises(Refused, match="unauthorized"):
        client.do("join", conversationId=fresh())


@pytest.mark.parametrize("code", [4403, 4413])
def test_connection_that_is_not_wanted_back_stays_away(
    open_client: Open, wire: Wire, conversation: str, token_file: Path, code: int
) -> None:
    token_file.write_text(token(3600))
    client = open_client(wire.url, tokenFile=str(token_file))
    client.do("join", conversationId=conversation)
    wire.end(code)
    until(lambda: client.do("state") == "closed")
    with pytest.raises(Refused):
        client.do("send", conversationId=conversation, content="hello")
    assert wire.connections == 1
