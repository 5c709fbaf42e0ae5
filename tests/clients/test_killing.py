"""Clients while the servers under them are killed, drained and emptied."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from chatq.errors import ExitCode
from tests.clients.conftest import EVERY_KIND, Open
from tests.clients.driven import KINDS, Driven
from tests.parts.command import Running
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until
from tests.parts.wire import Wire

EACH = 120
"""How many messages each client sends."""


class Writer(threading.Thread):
    """Posts messages all the time, each until it is accepted."""

    def __init__(self, url: str, conversation: str) -> None:
        super().__init__()
        self.contents: list[str] = []
        self._url = url
        self._conversation = conversation
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(0.01):
            content = f"writer {len(self.contents)}"
            data = {"senderId": "writer", "content": content, "clientMessageId": uuid4().hex}
            while not self._post({"conversationId": self._conversation, "messageData": data}):
                time.sleep(0.05)
            self.contents.append(content)

    def end(self) -> None:
        self._ending.set()
        self.join()

    def _post(self, body: object) -> bool:
        try:
            return httpx.post(f"{self._url}/api/messages", json=body, timeout=PATIENCE_SECONDS).status_code == 202
        except httpx.TransportError:
            return False


class Crowd:
    """A client of each kind that follows and talks, and a writer beside them."""

    def __init__(self, roles: Roles) -> None:
        self.conversation = fresh()
        self.clients = {kind: Driven(kind, roles.url, userId=kind) for kind in KINDS}
        for client in self.clients.values():
            client.do("join", conversationId=self.conversation, since=0)
        self._writer = Writer(roles.url, self.conversation)
        self._writer.start()
        self._sent = [
            client.start("sendAll", conversationId=self.conversation, contents=self._contents(kind))
            for kind, client in self.clients.items()
        ]

    def heard(self, count: int) -> None:
        """Wait until everybody has got so many events."""
        for client in self.clients.values():
            client.wait_for_seqs(self.conversation, count)

    def check(self) -> None:
        """Let everybody finish, and check what everybody has got."""
        for sent in self._sent:
            sent.result(120)
        self._writer.end()
        said = {"writer": self._writer.contents, **{kind: self._contents(kind) for kind in self.clients}}
        total = sum(len(contents) for contents in said.values())
        for client in self.clients.values():
            client.wait_for_seqs(self.conversation, total)
            contents = client.contents(self.conversation)
            assert client.seqs(self.conversation) == list(range(1, total + 1))
            assert [content for content, count in Counter(contents).items() if count > 1] == []
            for name, all_of_one in said.items():
                assert [content for content in contents if content.startswith(f"{name} ")] == all_of_one

    def close(self) -> None:
        self._writer.end()
        for client in self.clients.values():
            client.close()

    def _contents(self, kind: str) -> list[str]:
        return [f"{kind} {number}" for number in range(EACH)]


@pytest.fixture
def roles(own_roles: Roles) -> Roles:
    return own_roles


@pytest.fixture
def crowd(roles: Roles) -> Iterator[Crowd]:
    crowd = Crowd(roles)
    yield crowd
    crowd.close()


@pytest.mark.slow
def test_api_and_worker_are_killed(roles: Roles, crowd: Crowd) -> None:
    for heard in (30, 100, 200):
        crowd.heard(heard)
        roles.chatq.close()
        roles.start_api()
        roles.start_worker()
    crowd.check()


def test_api_is_drained(roles: Roles, api: Running, crowd: Crowd) -> None:
    crowd.heard(30)
    assert api.terminate() == ExitCode.DONE
    roles.start_api()
    crowd.check()


def test_redis_is_killed_and_comes_back(roles: Roles, crowd: Crowd, valkey: Valkey) -> None:
    crowd.heard(30)
    valkey.kill()
    until(lambda: roles.http.get("/readyz").status_code == 503)
    valkey.start()
    crowd.check()


def test_redis_is_emptied(roles: Roles, valkey: Valkey) -> None:
    conversation = fresh()
    clients = {kind: Driven(kind, roles.url, userId=kind) for kind in KINDS}
    try:
        for client in clients.values():
            client.do("join", conversationId=conversation, since=0)
        roles.store(conversation, "before")
        operator = valkey.client()
        operator.flushall()
        operator.close()
        for client in clients.values():
            client.do("send", conversationId=conversation, content="after")
        for client in clients.values():
            client.wait_for_seqs(conversation, 4)
            assert client.seqs(conversation) == [1, 2, 3, 4]
            assert client.contents(conversation) == ["before", "after", "after", "after"]
    finally:
        for client in clients.values():
            client.close()


@EVERY_KIND
def test_sends_wait_for_redis_in_order(open_client: Open, roles: Roles, valkey: Valkey) -> None:
    conversation = fresh()
    client = open_client()
    client.do("join", conversationId=conversation, since=0)
    client.do("send", conversationId=conversation, content="before")
    valkey.kill()
    contents = [f"during {number}" for number in range(1, 6)]
    sent = client.start("sendAll", conversationId=conversation, contents=contents)
    until(lambda: roles.http.get("/readyz").status_code == 503)
    valkey.start()
    sent.result(PATIENCE_SECONDS)
    client.wait(lambda: client.contents(conversation) == ["before", *contents])
    assert client.seqs(conversation) == [1, 2, 3, 4, 5, 6]


def test_failure_is_told_once(open_client: Open, roles: Roles, wire: Wire) -> None:
    conversation = fresh()
    client = open_client(wire.url)
    first = client.do("send", conversationId=conversation, content="this", clientMessageId="m-1")
    until(lambda: roles.state(first["messageId"]) == "persisted")
    roles.forget(first["messageId"])

    client.do("send", conversationId=conversation, content="that", clientMessageId="m-1")

    failed = client.expect("messageFailed")
    assert (failed["clientMessageId"], failed["messageId"]) == ("m-1", first["messageId"])
    assert "idempotency-mismatch" in failed["reason"]
    # The server tells it again to who comes back.
    wire.cut()
    client.do("join", conversationId=conversation, since=0)
    client.do("send", conversationId=conversation, content="and more")
    client.wait(lambda: client.contents(conversation) == ["this", "and more"])
    assert client.count("messageFailed") == 1


def test_status_that_is_refused_after_the_next_heartbeat_is_told_again(
    open_client: Open, roles: Roles, wire: Wire, valkey: Valkey
) -> None:
    conversation = fresh()
    message = roles.store(conversation, "read this", senderId="bob")
    alice = open_client(wire.url)
    alice.do("join", conversationId=conversation, since=0)
    # Given a server that still waits for Redis when it answers the heartbeat
    hear_pong(wire)
    valkey.send_signal(signal.SIGSTOP)
    alice.do("status", messageId=message["id"], status="read")
    hear_pong(wire)
    # When Redis then turns out to be gone, and comes back
    valkey.kill()
    valkey.start()
    alice.wait(lambda: [e["type"] for e in alice.numbered(conversation)] == ["newMessage", "messageStatus"])


def hear_pong(wire: Wire) -> None:
    """Wait for the next answer to a heartbeat."""
    before = len(wire.passed)
    until(lambda: any(b'"pong"' in payload for payload in wire.passed[before:]))
