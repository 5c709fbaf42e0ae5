"""The command line as a whole: help, version, usage errors, and ends that are nobody's fault."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from tests.parts.command import Chatq
from tests.parts.waiting import PATIENCE_SECONDS

COMMANDS = [
    ["all"],
    ["api"],
    ["worker"],
    ["enqueue"],
    ["tail"],
    ["redis-check"],
    ["db"],
    ["db", "upgrade"],
    ["db", "current"],
    ["bench"],
    ["token"],
]

HEAVY = {
    "alembic",
    "cryptography",
    "flask",
    "gevent",
    "gunicorn",
    "jwt",
    "psycopg",
    "redis",
    "rq",
    "sqlalchemy",
    "structlog",
}


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_help_ends_in_examples_of_the_command(chatq: Chatq, command: list[str]) -> None:
    # Where nothing but ASCII can be printed, all of it is
    shown = chatq(*command, "--help", env={"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u" not in shown.stdout
    last = re.split(r"\n\s*\n", shown.stdout.strip())[-1]
    assert last.strip().startswith("Examples:")
    assert f"chatq {' '.join(command)}".strip() in last
    # None of which is broken: it would be another command for whoever copies it
    assert all(line.startswith("   ") for line in last.splitlines()[1:])
    assert "\x1b" not in shown.stdout
    # And whatever reads settings names them
    assert ("CHATQ_DATA_DIR" in shown.stdout) == (command not in ([], ["db"], ["token"]))


def test_help_is_grouped_by_purpose_and_fits_a_narrow_terminal(chatq: Chatq) -> None:
    shown = chatq("--help", env={"COLUMNS": "40"}).stdout
    words = re.findall(r"(?m)^│ ([a-z][a-z-]+) |─ ([A-Z].*?) ─", shown)
    assert [command or group for command, group in words] == [
        *("Options",),
        *("Run the system", "all", "api", "worker"),
        *("Send and follow", "enqueue", "tail"),
        *("Look after it", "redis-check", "db", "bench"),
        *("Access", "token"),
    ]
    assert max(map(len, shown.splitlines())) <= 40
    shown = chatq("all", "--help", env={"COLUMNS": "40"}).stdout
    assert max(map(len, shown.splitlines())) <= 40
    # The text is broken where the terminal is
    text = re.split(r"\n\s*\n", shown)[2].splitlines()
    assert all(len(line) + len(after.split()[0]) >= 39 for line, after in pairwise(map(str.rstrip, text)))
    # Options keep their ends, and nothing is said of Python's types
    shown = chatq("enqueue", "--help", env={"COLUMNS": "40"}).stdout
    assert re.findall(r"(?m)^│ (--\S+)", shown) == ["--data", "--file", "--wait", "--json", "--data-dir", "--help"]
    assert "<" not in shown


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["enqueue", "a", "--data", "-"], 2), (["db", "upgrade"], 0), (["redis-check"], 3)],
)
def test_it_can_be_run_without_any_stream(chatq: Chatq, arguments: list[str], code: int) -> None:
    # Given a process that was started without stdin, stdout and stderr
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "chatq", *arguments]
    environment = {**chatq.environment, "REDIS_URL": "redis://127.0.0.1:1"}
    # Then it does what it would do, and what it prints goes nowhere: not into a file that it opens
    done = subprocess.run(
        command, env=environment, cwd=chatq.directory, capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


def test_without_a_command_help_is_shown(chatq: Chatq) -> None:
    assert chatq().stdout == chatq("--help").stdout


def test_the_version_is_that_of_the_package_and_of_its_parts(chatq: Chatq) -> None:
    shown = chatq("--version")
    assert shown.returncode == 0
    first, *parts = shown.stdout.splitlines()
    assert re.fullmatch(r"chatq (\d+\.\d+\.\d+|\(not installed\))", first)
    # And those of what it is made of stand in a column below
    named = dict(re.split("  +", part) for part in parts)
    assert named["Python"].startswith(platform.python_version())
    assert {"system", "RQ", "redis-py", "SQLAlchemy", "Flask", "gevent", "SQLite", "libpq"} <= named.keys()
    assert "not installed" not in "".join(parts)
    assert len({len(part) - len(value) for part, value in zip(parts, named.values(), strict=True)}) == 1


def test_help_waits_for_nothing_heavy() -> None:
    code = "import sys, chatq.cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(loaded.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'. See `chatq --help`."),
        (["enque"], "No such command 'enque'. Did you mean 'enqueue'? See `chatq --help`."),
        (["tail"], "Missing argument 'CONVERSATION'. See `chatq tail --help`."),
        (["--nonsense"], "No such option: --nonsense. See `chatq --help`."),
        (["db", "nonsense"], "No such command 'nonsense'. See `chatq db --help`."),
        (["worker", "--processes", "0"], "See `chatq worker --help`."),
        (
            ["worker", "--only", "nonsense"],
            "Invalid value for '--only': 'nonsense' is not one of 'messages', 'handlers'. See `chatq worker --help`.",
        ),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(chatq: Chatq, arguments: list[str], said: str) -> None:
    ended = chatq.run_forked(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("chatq: ")
    assert ended.stderr.endswith(f"{said}\n")
    assert ended.stderr.count("\n") == 1


EVERY_COMMAND = (
    ["all"],
    ["api"],
    ["worker"],
    ["redis-check"],
    ["db", "current"],
    ["enqueue", "x"],
    ["token", "--user", "a"],
)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *(("CHATQ_LANES", command) for command in EVERY_COMMAND),
        *((name, ["worker"]) for name in ("REDIS_URL", "DATABASE_URL", "CHATQ_PORT", "CHATQ_DURABILITY")),
    ],
)
def test_a_bad_setting_is_named_by_every_command(chatq: Chatq, name: str, command: list[str]) -> None:
    ended = chatq.run_forked(*command, env={name: "no good"})
    assert ended.returncode == 2
    assert re.fullmatch(rf"chatq: {name} is 'no good': .*\n", ended.stderr)


def test_a_reader_that_has_had_enough_is_no_error_worth_a_word(chatq: Chatq) -> None:
    command = [sys.executable, "-m", "chatq", "--help"]
    with subprocess.Popen(
        command, env=chatq.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_SECONDS) == 1
