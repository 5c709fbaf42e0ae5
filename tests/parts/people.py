"""People who talk through an API that asks for tokens, or through one that believes everybody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from chatq.access.tokens import sign
from tests.parts.client import Client
from tests.parts.roles import Roles

SECRET = "a secret that only the tests know, of many bytes"


class Person:
    """Somebody with an API to talk to; ``signed`` says whether with a token."""

    def __init__(self, roles: Roles, name: str | None, *, signed: bool = True, service: bool = False) -> None:
        self.name = name
        self.headers: dict[str, str] = {}
        self.proof: dict[str, str] = {}
        """What ``auth`` says; empty for somebody who does not say anything."""
        self._roles = roles
        if name is not None and signed:
            token = sign(SECRET, name, expires_at=time.time() + 600, service=service)
            self.headers["Authorization"] = f"Bearer {token}"
            self.proof = {"token": token}
        elif name is not None:
            self.headers["X-Chatq-User"] = name
            self.proof = {"userId": name}

    def ask(self, method: str, path: str, json: object = None) -> httpx.Response:
        """Send a request and return the answer."""
        return self._roles.http.request(method, path, json=json, headers=self.headers)

    def make(self, conversation: str, *members: Person, **fields: Any) -> None:
        """Create a conversation with these members."""
        document = {"id": conversation, "members": [member.name for member in members], **fields}
        answer = self.ask("POST", "/api/conversations", document)
        assert answer.status_code == 201, answer.text

    def send(self, conversation: str, content: str, **data: Any) -> httpx.Response:
        """Send a message and return the answer."""
        body = {"conversationId": conversation, "messageData": {"content": content, **data}}
        return self.ask("POST", "/api/messages", body)

    def sent(self, conversation: str, content: str, **data: Any) -> str:
        """Send a message that is accepted, and return its id."""
        answer = self.send(conversation, content, **data)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["messageId"])

    def roles_in(self, conversation: str) -> dict[str, str]:
        """Return who is in a conversation, in which role."""
        answer = self.ask("GET", f"/api/conversations/{conversation}")
        assert answer.status_code == 200, answer.text
        return {member["userId"]: member["role"] for member in answer.json()["members"]}

    @contextmanager
    def connect(self) -> Iterator[Client]:
        """Yield a websocket client that has said who it is, as far as it can."""
        with self._roles.connect() as client:
            if self.proof:
                client.say("auth", **self.proof)
                client.expect("authenticated")
            yield client
