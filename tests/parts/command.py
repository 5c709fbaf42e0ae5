"""The ``chatq`` command, as its users start it: a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO

from tests.parts.forking import COMMAND, Forked, Program
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_SECONDS


def environment_in(directory: Path) -> dict[str, str]:
    """Return the environment of commands that run in a directory: their data lie there, and nothing else is set."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "CHATQ_DATA_DIR": str(directory / "data"),
    }


class Chatq:
    """Runs ``chatq`` in ``directory`` with nothing of the environment but ``environment``.

    ``chatq("enqueue", …)`` runs it to its end; ``chatq.start("api")`` leaves it running, and :meth:`close`
    ends whatever still runs.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self._running: list[Running] = []
        self._closing: list[Callable[[], object]] = []

    def __call__(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = PATIENCE_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``chatq`` with ``args``, ``env`` added to its environment, and return its output and exit status."""
        return subprocess.run(
            [sys.executable, "-m", "chatq", *args],
            cwd=self.directory,
            env={**self.environment, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    def run_forked(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = PATIENCE_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Do the same in less time, where it does not matter how the process came to be."""
        running = self.fork(COMMAND, *args, env=env, stdin=stdin)
        status = running.wait(timeout)
        return subprocess.CompletedProcess(args, status, "".join(running.stdout), "".join(running.stderr))

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> Running:
        """Start ``chatq`` with ``args`` and return the running process."""
        command = [sys.executable, "-m", "chatq", *args]
        return self._keep(Running.start(command, {**self.environment, **(env or {})}, self.directory))

    def fork(
        self, program: Program, *args: str, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Running:
        """Do the same in less time, where it does not matter how the process came to be; it may read ``stdin``."""
        environment = {**self.environment, **(env or {})}
        forked = Forked(program, args, directory=self.directory, environment=environment, orders=stdin is not None)
        running = self._keep(Running(forked))
        if stdin is not None:
            # It may end without having read all of it.
            with suppress(BrokenPipeError), forked.stdin:
                forked.stdin.write(stdin)
        return running

    def also_close(self, close: Callable[[], object]) -> None:
        """Have ``close`` called by :meth:`close` too."""
        self._closing.append(close)

    def close(self) -> None:
        """End whatever still runs."""
        for running in self._running:
            running.close()
        for close in self._closing:
            close()

    def _keep(self, running: Running) -> Running:
        self._running.append(running)
        return running


class Running:
    """A process that runs by itself, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str] | Forked) -> None:
        self.process = process
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._news: Queue[None] = Queue()
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [
            Thread(target=self._read, args=(process.stdout, self.stdout)),
            Thread(target=self._read, args=(process.stderr, self.stderr)),
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], directory: Path | None = None) -> Running:
        """Start ``command`` with nothing to read."""
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything that it has printed, stderr after stdout."""
        return "".join([*self.stdout, *self.stderr])

    def wait_for(self, pattern: str, timeout: float = PATIENCE_SECONDS) -> re.Match[str]:
        """Wait until something that it printed matches ``pattern``, and return the first match."""
        deadline = time.monotonic() + timeout
        while True:
            if found := re.search(pattern, self.output):
                return found
            ended = not any(reader.is_alive() for reader in self._readers)
            left = deadline - time.monotonic()
            if (ended and self._news.empty()) or left <= 0:
                fate = f"ended with {self.process.poll()}" if ended else f"has run for {timeout} s"
                raise AssertionError(f"no {pattern!r} from a process that {fate}:\n{self.output}")
            with suppress(Empty):
                self._news.get(timeout=left)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process, not its children, a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Wait until the process has ended and all its output is read; return its exit status."""
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
            assert not reader.is_alive(), "the process left a child behind that holds its output open"
        return status

    def terminate(self, timeout: float = PATIENCE_SECONDS) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.terminate()
        return self.wait(timeout)

    def close(self) -> None:
        """Kill the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for reader in self._readers:
            reader.join()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line)
                self._news.put(None)
        self._news.put(None)
