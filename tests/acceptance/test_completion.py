"""Completion: what a shell is told when somebody presses Tab, and a real one of them."""

from __future__ import annotations

import re
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.parts.command import Chatq
from tests.parts.installation import Installation
from tests.parts.terminal import Terminal


def complete(chatq: Chatq, line: str, **environment: str) -> list[str]:
    """Return what is offered to bash for the last word of a line."""
    words = line.split(" ")
    env = {
        "_CHATQ_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        **environment,
    }
    done = chatq.run_forked(env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("chatq re", ["redis-check"]),
        ("chatq db ", ["upgrade", "current"]),
        ("chatq tail --js", ["--json"]),
        ("chatq worker --only ", ["messages", "handlers"]),
        ("chatq enqueue ", ["sendMessage", "editMessage", "deleteMessage", "updateMessageStatus"]),
        ("chatq enqueue s", ["sendMessage"]),
        ("chatq enqueue resize", []),
    ],
)
def test_commands_options_and_names_are_offered(chatq: Chatq, line: str, offered: list[str]) -> None:
    assert complete(chatq, line) == offered


def test_conversations_come_from_the_database(installation: Installation) -> None:
    for conversation in ("general", "generators", "random", "gen~", "gen_"):
        installation.send("hello", conversation)
    installation.work_off()
    chatq = installation.chatq
    assert complete(chatq, "chatq tail gene", **installation.environment) == ["general", "generators"]
    assert complete(chatq, "chatq tail gen_", **installation.environment) == ["gen_"]
    assert complete(chatq, "chatq tail ", **installation.environment) == [
        "gen_",
        "general",
        "generators",
        "gen~",
        "random",
    ]


@pytest.fixture
def mute() -> Iterator[int]:
    """A port at which somebody listens who never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_database_that_cannot_tell_is_no_trouble(chatq: Chatq, mute: int, tmp_path: Path) -> None:
    for url in (
        "nonsense",
        "postgresql://a@127.0.0.1:1/b",
        f"postgresql://a@127.0.0.1:{mute}/b?connect_timeout=60",
        f"sqlite:///{tmp_path}/none",
        f"sqlite:///{tmp_path}",
    ):
        assert complete(chatq, "chatq tail ", DATABASE_URL=url) == [], url
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(chatq: Chatq, shell: str) -> None:
    shown = chatq(env={"_CHATQ_COMPLETE": f"source_{shell}"})
    assert shown.returncode == 0
    assert f"complete_{shell}" in shown.stdout


def test_zsh_and_fish_are_told_what_names_mean(chatq: Chatq) -> None:
    zsh = chatq(env={"_CHATQ_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "chatq enqueue send"})
    assert zsh.stdout.strip() == """_arguments '*: :(("sendMessage":"store a new message"))'"""
    fish = {"_TYPER_COMPLETE_ARGS": "chatq enqueue send", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert chatq(env={"_CHATQ_COMPLETE": "complete_fish", **fish}).stdout == "sendMessage\tstore a new message\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tab_in_a_shell(installation: Installation, tmp_path: Path) -> None:
    for conversation in ("team:alpha:one", "team:alpha:one@home", "team:beta"):
        installation.send("hello", conversation)
    installation.work_off()
    chatq = installation.chatq
    # Given a shell with our completion
    program = tmp_path / "bin" / "chatq"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chatq "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}:{chatq.environment['PATH']}"
    environment = {**chatq.environment, **installation.environment, "PATH": path, "PS1": "> "}
    with closing(Terminal(["bash", "--norc", "--noprofile", "-i"], environment, tmp_path, columns=200)) as terminal:
        terminal.type('eval "$(_CHATQ_COMPLETE=source_bash chatq)"; echo so""urced\n')
        terminal.wait_for("sourced")
        # When Tab is pressed, then the rest of the word is there
        terminal.type("chatq enqueue se\t")
        terminal.wait_for("chatq enqueue sendMessage ")
        terminal.type("--wa\t")
        terminal.wait_for("sendMessage --wait ")
        # And so where bash takes a word for several; it rings where there is a choice
        terminal.type("\x15chatq tail te\t")
        terminal.wait_for("tail te\a*am:")
        terminal.type("a\t")
        terminal.wait_for("am:\a*a\a*lpha:one")
        terminal.type("@\t")
        terminal.wait_for("home")
        terminal.type("\x15chatq tail --lines=3 team:b\t")
        terminal.wait_for("team:b\a*eta ")
        terminal.type("\x15chatq tail team:\t\t")
        terminal.wait_for("alpha:one +alpha:one@home +beta")
        terminal.type("\x15exit\n")
        assert terminal.wait() == 0
    assert not re.search("Traceback|rror", terminal.text)
