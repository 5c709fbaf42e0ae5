"""What the README and the examples tell people to do works, word for word but for the port."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
import typer

from chatq.cli.app import app
from tests.documents.conftest import installed
from tests.documents.markdown import Block, blocks
from tests.documents.reader import Reader
from tests.parts.command import Chatq
from tests.parts.node import NODE
from tests.parts.ports import free_port
from tests.parts.root import ROOT

README = ROOT / "README.md"
EXAMPLES = ROOT / "examples"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("place")
    shutil.copy(EXAMPLES / "handlers.py", directory)
    chatq = Chatq(directory, installed(directory))
    place = Place(directory, free_port(), chatq.environment)
    running = chatq.start("all", "--port", str(place.port), "--app", "handlers")
    running.wait_for("ready: the page is at")
    yield place
    assert running.terminate() == 0
    chatq.close()


def test_the_readme_does_what_it_says(place: Place) -> None:
    def see_tokens(reader: Reader, block: Block) -> None:
        # Given the secret of the installation, its backend's token is one like the command's.
        (backend,) = (block.text for block in blocks(README) if "def token_for" in block.text)
        reader.save("backend.py", backend)
        said = reader.shown + reader.run("python3 -c 'import backend; print(backend.token_for(\"alice\"))'")
        users = [
            jwt.decode(token, options={"verify_signature": False})["sub"] for token in re.findall('eyJ[^" \n]+', said)
        ]
        assert users == ["alice", "backend", "alice"]

    def see_what_was_said(reader: Reader, block: Block) -> None:
        def without_times(text: str) -> str:
            return re.sub(r"(?m)^\d\d:\d\d:\d\d", "", text)

        assert without_times("".join(reader.running.stdout)) == without_times(block.text)

    Reader(
        README,
        place.directory,
        place.environment,
        replaced={"127.0.0.1:8000": f"127.0.0.1:{place.port}"},
        sees={"two tokens": see_tokens, "what was said, at other times": see_what_was_said},
    ).read()


def test_the_two_commands_are_those_of_the_project() -> None:
    run, test = (block.text for block in blocks(README) if "elsewhere" in block.marks and block.kind == "sh")

    assert run == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/chatq all\n"
    assert test == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"


def test_the_flags_that_are_shown_exist(place: Place) -> None:
    @functools.cache
    def known(command: str) -> str:
        return place.run("chatq", command, "--help")

    text = "".join(re.sub("'[^'\n]*'", "''", path.read_text()) for path in PAGES)
    commands = "|".join(typer.main.get_group(app).commands)
    shown = re.findall(rf"chatq ({commands})\b([^`\n#|]*)", text)
    assert len(shown) > 60
    for command, rest in shown:
        for flag in re.findall(r" (--[a-z-]+)", re.split("&&|;", rest)[0]):
            assert flag in known(command), f"chatq {command} {flag}"


def test_the_example_of_a_handler(place: Place) -> None:
    commands = re.findall(r"^    (chatq enqueue .*)$", (EXAMPLES / "handlers.py").read_text(), re.MULTILINE)
    assert len(commands) == 1

    assert place.run("sh", "-c", commands[0]).startswith("done ")


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


def test_the_examples_with_a_token(chatq: Chatq) -> None:
    port = free_port()
    chatq.environment["CHATQ_JWT_SECRET"] = "a secret of more than thirty-two bytes"
    running = chatq.start("all", "--port", str(port))
    running.wait_for("ready: the page is at")
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
