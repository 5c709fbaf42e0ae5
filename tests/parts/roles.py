"""``chatq api`` and ``chatq worker`` over a Redis and a database, each a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from redis import Redis

from chatq.errors import ExitCode
from chatq.queue import keys
from tests.parts.client import Client
from tests.parts.command import Chatq, Running, environment_in
from tests.parts.engines import set_up
from tests.parts.forking import API, COMMAND
from tests.parts.ports import free_port
from tests.parts.told import check_answer
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until


class Roles:
    """An installation whose API listens on a port of its own."""

    def __init__(self, chatq: Chatq, redis_url: str, database_url: str) -> None:
        self.chatq = chatq
        self.environment = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, event_hooks={"response": [check_answer]})
        with set_up(database_url):
            pass

    def start_api(self, *args: str, env: Mapping[str, str] | None = None) -> Running:
        """Start the API and wait until it answers."""
        running = self.chatq.fork(API, "api", "--port", str(self.port), *args, env={**self.environment, **(env or {})})
        running.wait_for("listening")
        # By the arbiter, which only then starts the process that answers.
        self.http.get("/healthz").raise_for_status()
        return running

    def start_worker(self) -> Running:
        """Start a worker for messages and wait until it works."""
        running = self.chatq.fork(COMMAND, "worker", "--only", "messages", env=self.environment)
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

    def forget(self, message_id: str) -> None:
        """Let Redis forget that a stored message was ever accepted: the time in which it remembers is over."""
        with Redis.from_url(self.environment["REDIS_URL"]) as operator:
            # A message is stored a moment before its job is finished, and only then is nothing known of it.
            until(lambda: not operator.exists(keys.job(message_id)), what=f"the job of {message_id} finished")
            operator.delete(keys.SEEN + message_id)

    def store_many(self, conversation: str, count: int, content: str = "message") -> None:
        """Send messages, numbered from 1 on, and wait until the last one is stored."""
        for number in range(1, count + 1):
            last = self.send(conversation, f"{content} {number}")
        until(lambda: self.state(last) == "persisted")

    def import_many(self, conversation: str, count: int, content: str = "message") -> None:
        """Have many messages stored, numbered from 1 on, from a file."""
        lines = (
            json.dumps({"conversationId": conversation, "senderId": "alice", "content": f"{content} {number}"})
            for number in range(1, count + 1)
        )
        file = self.chatq.directory / f"{conversation}.jsonl"
        file.write_text("\n".join(lines))
        done = self.chatq.run_forked("enqueue", "sendMessage", "--file", str(file), "--wait", env=self.environment)
        assert done.returncode == ExitCode.DONE, done.stderr

    def import_at_once(self, running: Running, conversation: str, count: int, content: str) -> None:
        """Have many messages stored while an API is frozen, so that it hears of all of them at the same time."""
        os.killpg(running.pid, signal.SIGSTOP)
        try:
            self.import_many(conversation, count, content)
        finally:
            os.killpg(running.pid, signal.SIGCONT)

    def page(self, conversation: str, **query: Any) -> dict[str, Any]:
        """Return a page of a conversation's messages."""
        answer = self.http.get(f"/api/conversations/{conversation}/messages", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page


@contextmanager
def installed(database_url: str | None = None, *, env: Mapping[str, str] | None = None) -> Iterator[Roles]:
    """Yield an installation with a Redis of its own, on SQLite unless told otherwise, of which nothing runs yet.

    ``env`` is in the environment of all its commands.
    """
    path = Path(tempfile.mkdtemp(prefix="chatq-"))
    valkey = Valkey(path).start()
    chatq = Chatq(path, {**environment_in(path), **(env or {})})
    roles = Roles(chatq, valkey.url, database_url or f"sqlite:///{path}/chatq.sqlite3")
    yield roles
    roles.close()
    valkey.kill()
    shutil.rmtree(path)


@contextmanager
def beside(roles: Roles, *args: str, env: Mapping[str, str]) -> Iterator[Roles]:
    """Yield an installation with another API of its own, which ``env`` changes."""
    other = Roles(roles.chatq, roles.environment["REDIS_URL"], roles.environment["DATABASE_URL"])
    running = other.start_api(*args, env=env)
    yield other
    running.close()
    other.http.close()


def fresh() -> str:
    """Return the id of a conversation that nobody has used."""
    return f"c-{uuid4().hex[:12]}"
