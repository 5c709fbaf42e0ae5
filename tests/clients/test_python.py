"""What only the client for Python has: threads, iteration, functions that fail or are slow."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatq.client import Client, ClientClosed, NoAnswer
from chatq.client.handing import ROOM
from chatq.errors import ExitCode, InvalidFields, TooLarge
from tests.parts.command import ROOT
from tests.parts.ports import free_port
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import until


def import_many(roles: Roles, conversation: str, count: int) -> None:
    lines = (
        json.dumps({"conversationId": conversation, "senderId": "bob", "content": f"message {number}"})
        for number in range(count)
    )
    file = roles.chatq.directory / "many.jsonl"
    file.write_text("\n".join(lines))
    done = roles.chatq("enqueue", "sendMessage", "--file", str(file), "--wait", env=roles.environment)
    assert done.returncode == ExitCode.DONE, done.stderr


def test_events_are_iterated_until_the_client_is_closed(roles: Roles) -> None:
    conversation = fresh()
    client = Client(roles.url, user_id="alice")
    assert client.join(conversation, since=0).recovered
    accepted = client.send(conversation, "hello", metadata={"a": 1})
    events = client.events()
    kinds = {"presence"}
    event = next(event for event in events if event["type"] not in kinds)
    assert (event["type"], event["seq"], event["message"]["id"]) == ("newMessage", 1, accepted.message_id)
    assert [event for event in client.events(timeout=0.1) if event["type"] not in kinds] == []
    client.close()
    assert list(events) == []
    assert client.state == "closed"
    client.close()
    with pytest.raises(ClientClosed):
        client.send(conversation, "too late")
    with pytest.raises(ClientClosed):
        client.join(conversation)


def test_refusals_are_the_errors_that_the_server_names(roles: Roles) -> None:
    conversation = fresh()
    with Client(roles.url, user_id="alice") as client:
        with pytest.raises(TooLarge, match="at most 16384"):
            client.send(conversation, "x" * 20_000)
        with pytest.raises(InvalidFields, match="conversationId"):
            client.join("not allowed")
        with pytest.raises(InvalidFields, match="limit"):
            client.history(conversation, limit=0)
    with pytest.raises(ValueError, match="must begin with http"):
        Client("ws://127.0.0.1")


def test_whoever_waits_for_a_server_that_is_not_there_waits_as_long_as_they_like() -> None:
    with ThreadPoolExecutor(1) as thread, Client(f"http://127.0.0.1:{free_port()}", user_id="alice") as client:
        with pytest.raises(NoAnswer):
            client.send("c", "hello", timeout=0.2)
        with pytest.raises(NoAnswer):
            client.join("c", timeout=0.2)
        with pytest.raises(NoAnswer):
            client.history("c")
        waiting = thread.submit(client.send, "c", "never")
    with pytest.raises(ClientClosed):
        waiting.result(10)


def test_message_that_was_given_up_is_not_sent_later(idle_roles: Roles) -> None:
    with Client(idle_roles.url, user_id="alice") as client:
        with pytest.raises(NoAnswer):
            client.send("c", "given up", timeout=0.1)
        idle_roles.start_api()
        idle_roles.start_worker()
        client.join("c", since=0)
        client.send("c", "sent")
        messages = (event for event in client.events() if event["type"] == "newMessage")
        assert next(messages)["message"]["content"] == "sent"


def test_threads_share_a_client(roles: Roles) -> None:
    with Client(roles.url, user_id="alice") as client, ThreadPoolExecutor(8) as threads:
        client.join("c0", since=0)
        sent = [threads.submit(client.send, f"c{number % 4}", f"message {number}") for number in range(80)]
        assert len({each.result(60).message_id for each in sent}) == 80
        messages = (event for event in client.events() if event["type"] == "newMessage")
        assert sorted(next(messages)["seq"] for _ in range(20)) == list(range(1, 21))


def test_function_that_fails_gets_the_next_event(roles: Roles, caplog: pytest.LogCaptureFixture) -> None:
    conversation = fresh()
    heard: list[int] = []

    def hear(event: dict[str, Any]) -> None:
        if event["type"] == "newMessage":
            heard.append(event["seq"])
            raise RuntimeError("no more")

    with Client(roles.url, user_id="alice") as client:
        client.join(conversation, since=0, on_event=hear)
        client.send(conversation, "one")
        client.send(conversation, "two")
        until(lambda: heard == [1, 2])
    assert "no more" in caplog.text


def test_function_may_send_and_close(roles: Roles) -> None:
    conversation = fresh()
    closed = threading.Event()

    def answer(event: dict[str, Any]) -> None:
        if event["type"] == "newMessage" and event["seq"] == 1:
            client.send(conversation, "answer")
        elif event["type"] == "newMessage":
            client.close()
            closed.set()

    client = Client(roles.url, user_id="alice", on_event=answer)
    client.join(conversation, since=0)
    client.send(conversation, "question")
    assert closed.wait(20)


def test_slow_taker_misses_nothing(roles: Roles) -> None:
    conversation = fresh()
    count = 2 * ROOM + 500
    import_many(roles, conversation, count)
    with Client(roles.url, user_id="alice") as client:
        client.join(conversation, since=0)
        # More came than there is room for before anything is taken.
        client.send("other", "a question whose answer comes after all that")
        client.send(conversation, "last")
        seqs = []
        for event in client.events():
            if event["type"] == "newMessage":
                seqs.append(event["seq"])
            if len(seqs) == count + 1:
                break
        assert seqs == list(range(1, count + 2))


def test_a_program_with_a_client_loads_nothing_of_the_servers() -> None:
    command = "import sys, chatq.client; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    servers = {"alembic", "flask", "gevent", "gunicorn", "psycopg", "redis", "rq", "sqlalchemy", "structlog", "typer"}
    assert servers.isdisjoint(done.stdout.split())
