"""Message workers that hang: killed and replaced by ``chatq all`` and ``chatq worker``; and those that only seem to."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import pytest
import redis

from chatq.queue import keys
from chatq.supervise.watchdog import ON_SQLITE_SECONDS
from tests.parts.command import Chatq
from tests.parts.lane import message, services
from tests.parts.processes import children, kill_child
from tests.parts.root import ROOT
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.slow

LANES = 8
HUNG = rf"(worker\.[12]|messages\.[12]) has given no sign of life for {ON_SQLITE_SECONDS:g} s: killed; starts again"


class Feeder:
    """Puts messages into the queue in a thread, so that workers always have some, but not too many, to do."""

    def __init__(self, redis_url: str) -> None:
        self.sent: dict[str, list[str]] = defaultdict(list)
        """What was accepted, by conversation, in order."""
        self._services = services(redis_url, LANES)
        self._edge = self._services.edge()
        self._ending = Event()
        self._thread = Thread(target=self._feed)
        self._thread.start()

    def send(self, conversation: str, *texts: str) -> None:
        """Put messages into the queue; not while it feeds."""
        self._edge.submit_many([message(text, conversation, LANES) for text in texts])
        self.sent[conversation] += texts

    def stop(self) -> None:
        """Feed no more."""
        self._ending.set()
        self._thread.join()

    def _feed(self) -> None:
        for number in range(1_000_000):
            self.send(f"busy-{number % LANES}", *(f"{number}.{part} {'x' * 500}" for part in range(100)))
            while not self._ending.is_set() and self._waiting() > 2000:
                self._ending.wait(0.01)
            if self._ending.is_set():
                return

    def _waiting(self) -> int:
        client: redis.Redis = self._services.redis
        return sum(client.llen(keys.queue(keys.lane_name(lane))) for lane in range(LANES))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "chatq.sqlite3"


def stored(database: Path) -> dict[str, list[str]]:
    """Return the messages' contents by conversation, in order; all of them have dense numbers and one event each."""
    found: dict[str, list[str]] = defaultdict(list)
    query = (
        "SELECT m.conversation_id, m.content, m.seq, e.message_id FROM events e LEFT JOIN messages m ON m.id = "
        "e.message_id ORDER BY e.conversation_id, e.seq"
    )
    with closing(sqlite3.connect(database)) as connection:
        for conversation, content, seq, _message_id in connection.execute(query):
            found[conversation].append(content)
            assert seq == len(found[conversation]), "a number is missing, or twice there"
    return found


def locked(database: Path) -> bool:
    """Tell whether somebody writes, and goes on writing for two seconds."""
    with closing(sqlite3.connect(database, timeout=2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def freeze_in_transaction(workers: list[int], database: Path) -> int:
    """Freeze one of the workers in the middle of a transaction, and return its process id."""
    with closing(sqlite3.connect(database)) as watching:
        for pid in cycle(workers):
            os.kill(pid, signal.SIGSTOP)
            before = version(watching)
            # Once it may be the other one, which is busy, that leaves no gap; but not without storing anything.
            if locked(database) and locked(database) and version(watching) == before:
                return pid
            os.kill(pid, signal.SIGCONT)
    raise AssertionError


def version(connection: sqlite3.Connection) -> int:
    """Return a number that changes whenever somebody else commits."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def test_a_writer_that_hangs_in_its_transaction_is_killed_and_nothing_is_lost_or_doubled(
    chatq: Chatq, tmp_path: Path, database: Path
) -> None:
    # Given two workers that are busy
    running = chatq.start("all", "--api-workers", "0", "--workers", "2")
    for name in ("worker.1", "worker.2"):
        running.wait_for(rf"\[{name}\] .*worker started")
    feeder = Feeder((tmp_path / "data" / "redis.url").read_text().strip())
    try:
        until(lambda: stored(database), what="the first messages")
        # When one hangs in its transaction, so that nobody else can write
        workers = children(running.pid, "--only messages")
        frozen = freeze_in_transaction(workers, database)
    finally:
        feeder.stop()
    feeder.send("calm", "now")
    # Then it is killed, and messages are stored again
    running.wait_for(HUNG)
    until(lambda: stored(database)["calm"] == ["now"], what="a message that was sent meanwhile")
    # And another is there in its place, and the one that waited was left alone
    replaced = until(lambda: set(children(running.pid, "--only messages")) - set(workers), what="a new worker")
    (other,) = set(workers) - {frozen}
    until(lambda: len(re.findall(r"\[worker\.[12]\] .*worker started", running.output)) == 3, what="the new worker")
    assert set(children(running.pid, "--only messages")) == {other, *replaced}
    # And everything is stored once, in order
    feeder.send("calm", *(f"after {number}" for number in range(100)))
    until(lambda: sum(map(len, stored(database).values())) >= sum(map(len, feeder.sent.values())), what="all messages")
    assert stored(database) == feeder.sent
    # And nobody counts it as a death: the system runs, and a death ends it
    assert len(re.findall(HUNG, running.output)) == 1
    assert "died" not in running.output
    kill_child(running.pid, "--only messages")
    assert running.wait() == 1
    assert "Traceback" not in running.output


def test_the_parent_of_workers_replaces_one_that_hangs(chatq: Chatq, valkey: Valkey, database: Path) -> None:
    # Given workers that have nothing to do
    environment = {"REDIS_URL": valkey.url}
    assert chatq("db", "upgrade", env=environment).returncode == 0
    running = chatq.start("worker", env=environment)
    running.wait_for("handlers started")
    running.wait_for("worker started")
    # When the one that does message jobs stops doing anything
    (worker,) = children(running.pid, "--only messages")
    os.kill(worker, signal.SIGSTOP)
    # Then it is replaced
    running.wait_for(HUNG)
    until(lambda: len(re.findall("worker started", running.output)) == 2, what="a new worker")
    # And messages are stored
    services(valkey.url, LANES).edge().submit_many([message("hello", "c", LANES)])
    until(lambda: stored(database) == {"c": ["hello"]}, what="a message")
    assert running.terminate() == 0


# --- any process that is watched -----------------------------------------------------------------


def start_watched(output: str, timeout: float, manner: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.parts.watched", output, str(timeout), manner]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list for processes that are killed with all that they started."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[bytes]) -> str:
    """Return the next line of a process; empty at the end."""
    assert process.stdout is not None
    return process.stdout.readline().decode()


@pytest.mark.parametrize("output", ["named", "plain"])
def test_one_that_hangs_from_its_first_turn_on_is_replaced(output: str, started: list[subprocess.Popen[bytes]]) -> None:
    # Given a process that lives and does nothing, and after it another one of the same kind
    supervisor = start_watched(output, 1, "mute")
    started.append(supervisor)
    for _ in range(2):
        assert "up" in read_line(supervisor)
        assert "watched has given no sign of life for 1 s: killed; starts again" in read_line(supervisor)
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0


def test_a_system_that_was_frozen_as_a_whole_goes_on(started: list[subprocess.Popen[bytes]]) -> None:
    # Given a process that is watched
    supervisor = start_watched("named", 4, "calm")
    started.append(supervisor)
    pid = int(read_line(supervisor).split()[-1])
    # When both are frozen for longer than it may be silent, and the supervisor wakes a moment earlier
    for process in (supervisor.pid, pid):
        os.kill(process, signal.SIGSTOP)
    time.sleep(5)
    os.kill(supervisor.pid, signal.SIGCONT)
    time.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    # Then nobody is killed; unless the process sleeps on alone
    for _ in range(3):
        assert "lives" in read_line(supervisor)
    os.kill(pid, signal.SIGSTOP)
    frozen = time.monotonic()
    assert "watched has given no sign of life for 4 s: killed; starts again" in read_line(supervisor)
    assert time.monotonic() - frozen > 1
    assert " up " in read_line(supervisor)
    supervisor.terminate()
    assert supervisor.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("output", ["named", "plain"])
def test_one_that_waits_for_a_slow_reader_is_left_alone(output: str, started: list[subprocess.Popen[bytes]]) -> None:
    # Given a process that writes more than anybody reads
    supervisor = start_watched(output, 3, "chatty")
    started.append(supervisor)
    assert "up" in read_line(supervisor)
    # When nothing is read for longer than it may be silent, as if someone had pressed Ctrl-S
    time.sleep(6)
    # Then it goes on when its lines are read
    text = "".join(read_line(supervisor) for _ in range(40))
    assert "killed" not in text
    assert "up" not in text
