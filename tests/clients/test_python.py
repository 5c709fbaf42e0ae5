"""What only the client for Python has: threads, iteration, functions that fail or are slow."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from chatq.client import Client, ClientClosed, NoAnswer
from chatq.client.handing import ROOM, Handing
from chatq.errors import InvalidFields, TooLarge
from tests.parts.command import Running
from tests.parts.ports import free_port
from tests.parts.processes import descendants
from tests.parts.roles import Roles, fresh
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_SECONDS, until


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


@pytest.mark.parametrize(
    ("host", "reason"), [("127.0.0.1", "Connection refused"), ("chat..example", "label empty or too long")]
)
def test_a_server_that_is_not_there_is_told_of_once(caplog: pytest.LogCaptureFixture, host: str, reason: str) -> None:
    caplog.set_level("INFO", "chatq.client")
    # Given a client that tries again and again to reach a server that is not there
    with Client(f"http://{host}:{free_port()}", user_id="alice"):
        until(lambda: len(caplog.records) > 1, what="two attempts")
    # Then a program that has set no logging up is told so, but not at each attempt
    assert [record.levelname for record in caplog.records][:2] == ["WARNING", "INFO"]
    assert reason in caplog.records[0].message


def test_refusals_are_the_errors_that_the_server_names(roles: Roles) -> None:
    conversation = fresh()
    with Client(roles.url, user_id="alice") as client:
        with pytest.raises(TooLarge, match="at most 16384"):
            client.send(conversation, "x" * 20_000)
        with pytest.raises(InvalidFields, match="conversationId"):
            client.join("not allowed")
        with pytest.raises(InvalidFields, match="limit"):
            client.history(conversation, limit=0)
    for url in ("ws://127.0.0.1", "http://"):
        with pytest.raises(ValueError, match="must begin with http"):
            Client(url)
    with pytest.raises(ValueError, match="Port out of range"):
        Client("http://127.0.0.1:99999")


def test_what_cannot_be_sent_is_refused_where_it_is_said_and_the_client_lives(roles: Roles) -> None:
    conversation = fresh()
    wrong: Any = uuid4()
    with Client(roles.url, user_id="alice") as client:
        client.join(conversation, since=0)
        for metadata in ({"at": wrong}, {"at": math.nan}):
            with pytest.raises((TypeError, ValueError), match="JSON"):
                client.send(conversation, "hello", metadata=metadata)
        for say in (
            lambda: client.send(conversation, "hello", client_message_id=wrong),
            lambda: client.join(wrong),
            lambda: client.join(conversation, since=wrong),
            lambda: client.leave(wrong),
            lambda: client.typing(wrong),
            lambda: client.status(wrong, "read"),
            lambda: Client(roles.url, user_id=wrong),
        ):
            with pytest.raises(TypeError, match="must be"):
                say()
        client.send(conversation, "goodbye")


def test_client_whose_server_takes_nothing_can_be_closed(own_roles: Roles, api: Running) -> None:
    (serving,) = descendants(api.pid)
    client = Client(own_roles.url, user_id="alice")
    client.join("c", since=0)
    with ThreadPoolExecutor(101) as threads:
        os.kill(serving, signal.SIGSTOP)
        try:
            # More than all buffers on the way hold
            sent = [threads.submit(client.send, f"c{number}", "x" * 200_000) for number in range(100)]
            threads.submit(client.close).result(PATIENCE_SECONDS)
        finally:
            os.kill(serving, signal.SIGCONT)
        for each in sent:
            with pytest.raises(ClientClosed):
                each.result(PATIENCE_SECONDS)


def test_what_the_server_does_not_say_again_finds_room() -> None:
    handing = Handing(None, lambda: None)
    while handing.hand_over({"type": "newMessage"}):
        pass
    assert not handing.hand_over({"type": "typing"})
    for kind in ("reset", "messageFailed", "left", "error"):
        assert handing.hand_over({"type": kind})
    handing.end(None)
    events = list(iter(lambda: handing.next(0), None))
    assert [event["type"] for event in events] == ["newMessage"] * ROOM + ["reset", "messageFailed", "left", "error"]


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
        waiting.result(PATIENCE_SECONDS)


def test_message_that_was_given_up_is_not_sent_later(sqlite_roles: Roles) -> None:
    with Client(sqlite_roles.url, user_id="alice") as client:
        with pytest.raises(NoAnswer):
            client.send("c", "given up", timeout=0.1)
        sqlite_roles.start_api()
        sqlite_roles.start_worker()
        client.join("c", since=0)
        client.send("c", "sent")
        messages = (event for event in client.events() if event["type"] == "newMessage")
        assert next(messages)["message"]["content"] == "sent"


def test_threads_share_a_client(roles: Roles) -> None:
    with Client(roles.url, user_id="alice") as client, ThreadPoolExecutor(8) as threads:
        client.join("c0", since=0)
        sent = [threads.submit(client.send, f"c{number % 4}", f"message {number}") for number in range(80)]
        assert len({each.result(PATIENCE_SECONDS).message_id for each in sent}) == 80
        messages = (event for event in client.events() if event["type"] == "newMessage")
        assert sorted(next(messages)["seq"] for _ in range(20)) == list(range(1, 21))


@pytest.mark.parametrize("fault", [RuntimeError("no more"), SystemExit("no more")])
def test_function_that_fails_gets_the_next_event(
    roles: Roles, caplog: pytest.LogCaptureFixture, fault: BaseException
) -> None:
    conversation = fresh()
    heard: list[int] = []

    def hear(event: dict[str, Any]) -> None:
        if event["type"] == "newMessage":
            heard.append(event["seq"])
            raise fault

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
    assert closed.wait(PATIENCE_SECONDS)


def test_slow_taker_misses_nothing(roles: Roles) -> None:
    conversation = fresh()
    count = 2 * ROOM + 500
    roles.import_many(conversation, count)
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
