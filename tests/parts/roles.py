"""``chatq api`` and ``chatq worker`` over a Redis and a database, each a process of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from chatq.store import schema
from chatq.store.engine import create_engine
from tests.parts.client import Client
from tests.parts.command import ROOT, Chatq, Running
from tests.parts.forking import API, WORKER
from tests.parts.ports import free_port
from tests.parts.told import check_answer
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


class Roles:
    """An installation whose API listens on a port of its own."""

    def __init__(self, chatq: Chatq, redis_url: str, database_url: str) -> None:
        self.chatq = chatq
        self.environment = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=20, event_hooks={"response": [check_answer]})
        engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
        schema.upgrade(engine)
        engine.dispose()

    def start_api(self, *args: str, env: Mapping[str, str] | None = None) -> Running:
        """Start the API and wait until it answers."""
        running = self.chatq.fork(API, "api", "--port", str(self.port), *args, env={**self.environment, **(env or {})})
        running.wait_for("listening")
        return running

    def start_worker(self) -> Running:
        """Start a worker for messages and wait until it works."""
        running = self.chatq.fork(WORKER, "worker", "--only", "messages", env=self.environment)
        running.wait_for("worker started")
        return running

    def close(self) -> None:
        """End everything."""
        self.http.close()
        self.chatq.close()

    @contextmanager
    def connect(self, **options: Any) -> Iterator[Client]:
        """Yield a websocket client that has been greeted."""
        with Client(f"ws://127.0.0.1:{self.port}/ws", **options) as client:
            client.expect("hello")
            yield client

    def post(self, conversation: str, content: str, **data: Any) -> httpx.Response:
        """Send a message as alice, unless ``data``, the rest of its ``messageData``, says otherwise."""
        message = {"senderId": "alice", "content": content, **data}
        return self.http.post("/api/messages", json={"conversationId": conversation, "messageData": message})

    def send(self, conversation: str, content: str, **data: Any) -> str:
        """Send a message that is accepted, and return its id."""
        answer = self.post(conversation, content, **data)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["messageId"])

    def state(self, message_id: str) -> str:
        """Return where a message stands."""
        answer = self.http.get(f"/api/messages/{message_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    def store(self, conversation: str, content: str, **data: Any) -> dict[str, Any]:
        """Send a message, wait until it is stored, and return it."""
        message_id = self.send(conversation, content, **data)
        until(lambda: self.state(message_id) == "persisted", what=f"message {message_id} stored")
        message: dict[str, Any] = self.http.get(f"/api/messages/{message_id}").json()["message"]
        return message

    def page(self, conversation: str, **query: Any) -> dict[str, Any]:
        """Return a page of a conversation's messages."""
        answer = self.http.get(f"/api/conversations/{conversation}/messages", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page


@contextmanager
def installed(database_url: str | None = None) -> Iterator[Roles]:
    """Yield an installation with a Redis of its own, on SQLite unless told otherwise, of which nothing runs yet."""
    path = Path(tempfile.mkdtemp(prefix="chatq-"))
    valkey = Valkey(path).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(path),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "CHATQ_DATA_DIR": str(path / "data"),
    }
    roles = Roles(Chatq(path, environment), valkey.url, database_url or f"sqlite:///{path}/chatq.sqlite3")
    yield roles
    roles.close()
    valkey.kill()
    shutil.rmtree(path)


def fresh() -> str:
    """Return the id of a conversation that nobody has used."""
    return f"c-{uuid4().hex[:12]}"
