"""`chatq redis-check`, against real servers in every bad state that one can be brought into."""

from __future__ import annotations

import json
import os
import pty
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.command import Chatq
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS


@pytest.fixture
def check(chatq: Chatq) -> Any:
    """Run ``chatq redis-check --json`` and return its exit status, its document, and its findings by name."""

    def run(url: str, *args: str, **env: str) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
        end = chatq.run_forked("redis-check", "--json", *args, env={"REDIS_URL": url, **env})
        assert end.stdout.count("\n") == 1, end.stderr
        document = json.loads(end.stdout)
        for finding in document["findings"]:
            assert set(finding) == {"check", "level", "value", "cause", "remedy"}
            well = finding["level"] == "ok"
            assert well == (finding["cause"] is None) == (finding["remedy"] is None)
        assert document["fit"] is (end.returncode == 0)
        return end.returncode, document, {finding["check"]: finding for finding in document["findings"]}

    return run


def only_problem(findings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    [problem] = [finding for finding in findings.values() if finding["level"] == "problem"]
    return problem


# --- a server that answers -----------------------------------------------------------------------


def test_a_server_as_chatq_wants_it_is_fit(check: Any, valkey: Valkey) -> None:
    status, document, findings = check(valkey.url)
    assert status == 0
    assert document["url"] == valkey.url
    assert {finding["level"] for name, finding in findings.items() if name != "latency"} == {"ok"}
    assert list(findings) == [
        "version", "role", "writes", "eviction", "persistence", "durability", "memory", "latency",
    ]  # fmt: skip
    assert valkey.client().dbsize() == 0


def test_a_replica_is_unfit_and_its_primary_is_named(check: Any, valkey: Valkey) -> None:
    valkey.client().replicaof("127.0.0.1", "1")
    status, _, findings = check(valkey.url)
    assert status == 3
    assert findings["role"]["level"] == "problem"
    assert "127.0.0.1:1" in findings["role"]["remedy"]
    assert "READONLY" in findings["writes"]["value"].upper().replace(" ", "")


def test_an_eviction_policy_that_throws_messages_away_is_unfit(check: Any, valkey: Valkey) -> None:
    valkey.client().config_set("maxmemory-policy", "allkeys-lru")
    status, _, findings = check(valkey.url)
    assert status == 3
    assert only_problem(findings)["check"] == "eviction"
    assert "noeviction" in findings["eviction"]["remedy"]


def test_a_server_that_saves_nothing_is_warned_about(check: Any, valkey: Valkey) -> None:
    valkey.client().config_set("appendonly", "no")
    status, _, findings = check(valkey.url)
    assert status == 0
    assert (findings["persistence"]["level"], findings["persistence"]["value"]) == ("warning", "none")
    assert "appendonly yes" in findings["persistence"]["remedy"]


def test_a_server_that_saves_nothing_is_unfit_where_a_202_is_to_be_on_disk(check: Any, valkey: Valkey) -> None:
    valkey.client().config_set("appendonly", "no")
    status, _, findings = check(valkey.url, CHATQ_DURABILITY="aof")
    assert status == 3
    assert only_problem(findings)["check"] == "durability"


def test_an_fsync_every_second_is_warned_about(check: Any, valkey: Valkey) -> None:
    valkey.client().config_set("appendfsync", "everysec")
    status, _, findings = check(valkey.url)
    assert status == 0
    assert findings["persistence"]["level"] == "warning"
    assert "last second" in findings["persistence"]["cause"]


def test_a_full_memory_is_unfit(check: Any, valkey: Valkey) -> None:
    client = valkey.client()
    client.mset({f"ballast:{number}": "x" * 100_000 for number in range(100)})
    client.config_set("maxmemory", "8mb")
    status, _, findings = check(valkey.url)
    assert status == 3
    assert findings["memory"]["level"] == "problem"
    assert "8.0 MiB (maxmemory)" in findings["memory"]["value"]
    assert "used memory > 'maxmemory'" in findings["writes"]["value"]


def test_a_memory_that_is_nearly_full_is_warned_about(check: Any, valkey: Valkey) -> None:
    client = valkey.client()
    used: int = client.info("memory")["used_memory"]
    client.config_set("maxmemory", str(int(used / 0.87)))
    status, _, findings = check(valkey.url)
    assert status == 0
    assert findings["memory"]["level"] == "warning"


def test_a_server_that_hides_its_configuration_is_judged_on_the_rest(check: Any, valkey: Valkey) -> None:
    valkey.client().acl_setuser("app", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-config"])
    status, _, findings = check(valkey.url.replace("unix://", "unix://app:pw@"))
    assert status == 0
    assert findings["persistence"]["value"] == "append-only file, appendfsync unknown"
    assert findings["eviction"]["level"] == "ok"


def test_a_user_who_may_not_write_chatqs_keys_is_told_what_is_missing(check: Any, valkey: Valkey) -> None:
    valkey.client().acl_setuser("app", enabled=True, passwords=["+pw"], keys=["other:*"], commands=["+@all"])
    status, _, findings = check(valkey.url.replace("unix://", "unix://app:pw@"))
    assert status == 3
    assert only_problem(findings)["check"] == "writes"
    assert "chatq:*" in findings["writes"]["remedy"]


def test_a_user_who_may_not_ask_anything_is_told_what_is_missing(check: Any, valkey: Valkey) -> None:
    valkey.client().acl_setuser("app", enabled=True, passwords=["+pw"], keys=["*"], commands=["+get"])
    status, _, findings = check(valkey.url.replace("unix://", "unix://app:pw@"))
    assert status == 3
    assert only_problem(findings)["check"] == "permission"


# --- a server that does not ----------------------------------------------------------------------


def test_a_missing_and_a_wrong_password_are_told_apart_and_never_shown(check: Any, short_path: Path) -> None:
    server = Valkey(short_path, requirepass="r1ght").start()
    try:
        for url, cause in [
            (server.url, "none is configured"),
            (server.url.replace("unix://", "unix://:wr0ng@"), "refuses this user name or password"),
        ]:
            status, document, findings = check(url, "--wait", "60")
            assert status == 3
            assert only_problem(findings)["check"] == "password"
            assert cause in findings["password"]["cause"]
            assert "wr0ng" not in json.dumps(document)
        status, document, _ = check(server.url.replace("unix://", "unix://:r1ght@"))
        assert status == 0
        assert document["url"] == server.url.replace("unix://", "unix://:***@")
    finally:
        server.kill()


def test_a_password_that_the_server_does_not_ask_for_is_named_as_such(check: Any, valkey: Valkey) -> None:
    status, _, findings = check(valkey.url.replace("unix://", "unix://:pw@"))
    assert status == 3
    assert "the server has none" in findings["password"]["cause"]


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("redis://127.0.0.1:1/0", "nothing listens there"),
        ("redis://chatq.invalid/0", "no address is known"),
        ("unix:///nowhere/valkey.sock", "no such socket"),
    ],
)
def test_a_server_that_cannot_be_reached(check: Any, url: str, cause: str) -> None:
    status, document, findings = check(url)
    assert status == 3
    assert document["url"] == url
    assert cause in only_problem(findings)["cause"]


def test_a_server_that_says_nothing(check: Any) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        status, _, findings = check(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
    assert status == 3
    assert "no answer in time" in only_problem(findings)["cause"]


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer every connection to the port that this yields with these bytes, whatever it says."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(answer)
            self.request.recv(4096)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("redis", b"220 mail.example ESMTP\r\n", "does not speak Redis's protocol"),
        ("rediss", b"-ERR unknown command\r\n", "do not agree on TLS"),
        ("redis", b"-DENIED Redis is running in protected mode because\r\n", "protected mode"),
    ],
)
def test_a_server_that_answers_otherwise(check: Any, scheme: str, answer: bytes, words: str) -> None:
    with answering(answer) as port:
        status, _, findings = check(f"{scheme}://127.0.0.1:{port}/0")
    assert status == 3
    assert words in only_problem(findings)["cause"] + only_problem(findings)["remedy"]


def test_a_server_without_room_for_another_client(check: Any, valkey: Valkey) -> None:
    with closing(valkey.client()) as first:
        first.config_set("maxclients", "1")
        status, _, findings = check(valkey.url)
    assert status == 3
    assert "`maxclients`" in only_problem(findings)["remedy"]


# --- waiting -------------------------------------------------------------------------------------


def test_wait_goes_on_once_the_server_is_up(chatq: Chatq, short_path: Path) -> None:
    server = Valkey(short_path)
    running = chatq.start("redis-check", "--wait", "60", env={"REDIS_URL": server.url})
    running.wait_for("waiting: ")
    server.start()
    try:
        assert running.wait() == 0
    finally:
        server.kill()


def test_wait_gives_up_in_time(check: Any) -> None:
    status, _, findings = check("redis://127.0.0.1:1/0", "--wait", "0.3")
    assert status == 3
    assert only_problem(findings)["check"] == "connection"


def test_wait_goes_on_once_the_server_has_loaded_its_data(chatq: Chatq, valkey: Valkey) -> None:
    client = valkey.client()
    client.config_set("appendonly", "no")
    client.mset({f"ballast:{number}": "x" * 1000 for number in range(1000)})
    client.save()
    valkey.stop()
    # 20 s of loading, during which it answers; it would not while it loads an append-only file so slowly.
    valkey.options |= {"appendonly": "no"}
    valkey.options |= {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
    valkey.launch()
    running = chatq.start("redis-check", "--wait", "60", env={"REDIS_URL": valkey.url})
    running.wait_for("waiting: .*loading")
    valkey.client().config_set("key-load-delay", "0")
    assert running.wait() == 0


# --- for people ----------------------------------------------------------------------------------


def test_lines_for_a_pipe(chatq: Chatq, valkey: Valkey) -> None:
    valkey.client().config_set("maxmemory-policy", "allkeys-lru")
    end = chatq("redis-check", env={"REDIS_URL": valkey.url})
    lines = end.stdout.splitlines()
    assert lines[0] == f"redis {valkey.url}"
    assert "ok role: primary" in lines
    [eviction] = [line for line in lines if line.startswith("problem eviction: allkeys-lru (cause: ")]
    assert "remedy: set `maxmemory-policy noeviction`" in eviction
    assert "\x1b" not in end.stdout
    assert end.stderr == ""


def test_a_table_for_a_terminal(environment: dict[str, str], tmp_path: Path, valkey: Valkey) -> None:
    primary, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "chatq", "redis-check"],
        cwd=tmp_path,
        env={**environment, "REDIS_URL": valkey.url, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(primary, 4096):
            shown += part
    except OSError:
        pass  # Linux's word for the end of a terminal
    os.close(primary)
    assert process.wait(PATIENCE_SECONDS) == 0
    text = shown.decode()
    assert "\x1b[32mok" in text
    assert "eviction" in text
