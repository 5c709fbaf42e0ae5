"""Processes of chatq's that the test kills, freezes, wakes and replaces."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import IO

from tests.faults.points import Deed, Point
from tests.parts.forking import API, Forked, Program
from tests.parts.waiting import PATIENCE_SECONDS, until

STOPPABLE = Program("tests.faults.worker:run")


class Process:
    """One process with all that it starts; what it says on stderr goes to the file ``log``."""

    def __init__(self, process: Forked, log: Path) -> None:
        self._process = process
        self.log = log
        self.said: list[str] = []
        """What it said on stdout, a line each."""
        self._reader = Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended; a frozen one has not."""
        return self._process.poll() is None

    def freeze(self) -> None:
        """Let the process, and all that it started, do nothing any more."""
        os.killpg(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let a frozen process, and all that it started, go on; one that is dead stays so."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask the process to end; a frozen one will see it when it wakes."""
        self._process.terminate()

    def wait_to_log(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the process has logged ``text``."""
        until(lambda: text in self.log.read_text(), seconds, f"{text!r} in {self.log}")

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until the process has ended, and return its exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill the process with all that it started, at once, and wait until all are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        # Ends when the last of them is gone.
        self._reader.join()
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def children(self) -> list[int]:
        """Return the ids of the processes that it started itself."""
        try:
            listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(pid) for pid in listed.split()]

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self.said.append(line.strip())


class Worker(Process):
    """A message worker that takes orders; see :mod:`tests.faults.points`."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        super().__init__(Forked(STOPPABLE, directory=log.parent, environment=environment, orders=True, log=log), log)

    def wait_until_ready(self) -> None:
        """Wait until the worker has begun to work."""
        self.wait_to_log("worker started")

    def order(self, point: Point, deed: Deed, *, passes: int = 0) -> None:
        """Order a deed at the next time that the worker is at ``point``, or ``passes`` times later."""
        # One that is dead, or buried already, gets none.
        with suppress(BrokenPipeError, ValueError):
            print(point, deed, passes, file=self._process.stdin, flush=True)

    def been_at(self, point: Point) -> int:
        """Return how often the worker did what was ordered at ``point``."""
        return self.said.count(point)

    def wait_at(self, point: Point, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the worker has done what was ordered at ``point``, for the first time."""
        # It says so first.
        done = f"a worker at {point}; its log is {self.log}"
        until(lambda: self.been_at(point) and not self._goes_on(), seconds, done)

    def _goes_on(self) -> bool:
        """Tell whether the worker is neither frozen nor dead."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[0] not in "TZX"


class Api(Process):
    """``chatq api``: an arbiter with one process that serves."""

    def __init__(self, port: int, environment: Mapping[str, str], log: Path) -> None:
        args = ["api", "--host", "127.0.0.1", "--port", str(port)]
        super().__init__(Forked(API, args, directory=log.parent, environment=environment, log=log), log)
        self.port = port

    def kill_arbiter(self) -> None:
        """Kill the process that looks after the one that serves, which ends by itself then."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def kill_child(self) -> None:
        """Kill the process that serves; its arbiter starts another."""
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def answers(self) -> bool:
        """Tell whether it serves requests."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
