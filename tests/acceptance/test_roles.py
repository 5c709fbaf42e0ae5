"""``chatq api`` and ``chatq worker`` alone, as a container would run them: by environment, against any Redis."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from chatq.store import schema
from chatq.store.engine import create_engine
from chatq.web.serve import GRACE
from tests.parts.command import Chatq
from tests.parts.ports import free_port
from tests.parts.processes import alive, children, descendants, kill_child
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until


@pytest.fixture
def role(chatq: Chatq, valkey: Valkey, tmp_path: Path) -> Chatq:
    """The command, for a running Redis and a database that is set up."""
    database = f"sqlite:///{tmp_path}/roles.sqlite3"
    engine = create_engine(database)
    schema.upgrade(engine)
    engine.dispose()
    chatq.environment |= {"REDIS_URL": valkey.url, "DATABASE_URL": database}
    chatq.environment |= {"CHATQ_PORT": str(free_port()), "CHATQ_LOG_FORMAT": "console"}
    return chatq


def enqueue(chatq: Chatq, content: str, *options: str) -> int:
    fields = ("conversationId=c", "senderId=alice", f"content={content}")
    return chatq("enqueue", "sendMessage", *fields, *options).returncode


# --- worker --------------------------------------------------------------------------------------


def test_a_worker_is_a_parent_with_a_process_for_each_kind_of_jobs(role: Chatq) -> None:
    running = role.start("worker", "--processes", "2")
    running.wait_for(r"handlers started")
    until(lambda: len(re.findall("worker started", running.output)) == 2, what="two workers")
    assert len(children(running.pid, "--only messages")) == 2
    assert len(children(running.pid, "--only handlers")) == 1
    assert enqueue(role, "hello", "--wait") == 0
    everybody = descendants(running.pid)
    assert running.terminate() == 0
    assert not any(alive(pid) for pid in everybody)


def test_a_worker_process_that_dies_is_started_again(role: Chatq) -> None:
    running = role.start("worker")
    running.wait_for("worker started")
    running.wait_for("handlers started")
    first = kill_child(running.pid, "--only messages")
    running.wait_for(r"messages\.1 died: killed by SIGKILL; starts again")
    until(lambda: children(running.pid, "--only messages") not in ([first], []), what="another process")
    assert enqueue(role, "hello", "--wait") == 0
    assert running.terminate() == 0


def test_a_killed_worker_leaves_nothing_behind(role: Chatq) -> None:
    running = role.start("worker")
    running.wait_for("worker started")
    everybody = descendants(running.pid)
    running.send_signal(signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in everybody), what="the end of all")


def test_a_burst_does_what_is_there_and_ends_with_0(role: Chatq) -> None:
    assert enqueue(role, "hello") == 0
    ended = role("worker", "--burst")
    assert ended.returncode == 0, ended.stderr
    assert role("worker", "--burst", "--only", "messages").returncode == 0


@pytest.mark.parametrize("only", [(), ("--only", "messages"), ("--only", "handlers")])
def test_an_unreachable_redis_ends_a_worker_with_3(role: Chatq, only: tuple[str, ...], tmp_path: Path) -> None:
    ended = role("worker", *only, env={"REDIS_URL": f"unix://{tmp_path}/none.sock"})
    assert ended.returncode == 3
    assert "none.sock" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["worker", "api"])
def test_a_database_that_is_not_set_up_ends_a_role_with_4(role: Chatq, command: str, tmp_path: Path) -> None:
    ended = role(command, env={"DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"})
    assert ended.returncode == 4
    assert "chatq db upgrade" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("only", [(), ("--only", "handlers")])
def test_handlers_that_cannot_be_imported_end_a_worker_with_2(role: Chatq, only: tuple[str, ...]) -> None:
    ended = role("worker", "--app", "nowhere", *only)
    assert ended.returncode == 2
    assert "--app nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr


# --- api -----------------------------------------------------------------------------------------


def test_an_api_ends_with_0_and_does_not_wait_for_idle_connections(role: Chatq) -> None:
    # On a machine that has much else to do it may take its time all the same; of some attempts one is enough.
    assert any(seconds_to_end(role) < GRACE for _ in range(4))


def seconds_to_end(role: Chatq) -> float:
    """Return how long an API takes to end that has a connection without a request."""
    # Given an API with a connection that waits for its next request
    port = int(role.environment["CHATQ_PORT"])
    running = role.start("api", "--api-workers", "2")
    running.wait_for("listening")
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        # When it is told to end, then it closes the connection and ends
        told = time.monotonic()
        assert running.terminate() == 0
        assert connection.recv(4096) == b""
        return time.monotonic() - told


def test_an_api_alone_takes_messages_for_a_worker_that_comes_later(role: Chatq) -> None:
    url = f"http://127.0.0.1:{role.environment['CHATQ_PORT']}"
    running = role.start("api")
    running.wait_for("listening")
    body = {"conversationId": "c", "messageData": {"senderId": "alice", "content": "hello"}}
    request = urllib.request.Request(  # noqa: S310  # our own server
        f"{url}/api/messages", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # our own server
        message = json.load(answer)["messageId"]
    assert role("worker", "--burst").returncode == 0
    with urllib.request.urlopen(f"{url}/api/messages/{message}", timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # our own server
        assert json.load(answer)["state"] == "persisted"
    running.send_signal(signal.SIGINT)
    assert running.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "--insecure"),  # noqa: S104  # it is refused
        (["--host", "::", "--port", "8000"], 2, "--insecure"),
        (["--api-workers", "0"], 2, "CHATQ_API_WORKERS is 0"),
        (["--port", "99999"], 2, r"--port \(CHATQ_PORT\) is '99999'"),
    ],
)
def test_bad_usage_of_the_api_is_one_clear_line(role: Chatq, arguments: list[str], code: int, said: str) -> None:
    ended = role("api", *arguments)
    assert ended.returncode == code
    assert re.fullmatch(rf"chatq: .*{said}.*\n", ended.stderr)


def test_a_busy_port_ends_the_api_with_1(role: Chatq) -> None:
    port = int(role.environment["CHATQ_PORT"])
    with closing(socket.create_server(("127.0.0.1", port))):
        ended = role("api")
    assert ended.returncode == 1
    assert re.search(rf"(?m)^chatq: .*127\.0\.0\.1:{port} already", ended.stderr)
    assert "Traceback" not in ended.stderr
