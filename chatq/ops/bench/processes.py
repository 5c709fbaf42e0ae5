"""The run's own processes of chatq, from their start to their end."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from gevent import sleep

from chatq.errors import BadSetting, ChatqError, DatabaseError, ExitCode, RedisError
from chatq.ops.bench.http import HttpClient

START_SECONDS = 30.0
GRACE_SECONDS = 12.0
"""How long it may take to end; chatq's roles need less."""
_LOOK_SECONDS = 0.02
_TAIL_BYTES = 4096
_ERRORS: dict[int, type[ChatqError]] = {
    ExitCode.USAGE: BadSetting,
    ExitCode.REDIS: RedisError,
    ExitCode.DATABASE: DatabaseError,
}


class Guard(Protocol):
    """Ends processes if this one is killed."""

    def watch(self, group: int) -> None:
        """Have this process group ended then."""

    def forget(self, group: int) -> None:
        """Take note that it has ended."""


class Process:
    """One process, in a session of its own, which the terminal's Ctrl-C does not reach."""

    def __init__(self, name: str, command: Sequence[str], guard: Guard, environment: Mapping[str, str]) -> None:
        self._name = name
        self._guard = guard
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "CHATQ_LOG_FORMAT": "console"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        guard.watch(self.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            ChatqError: it has ended; of the class that its exit status names.
        """
        status = self._process.poll()
        if status is None:
            return
        if status < 0:
            raise ChatqError(f"chatq {self._name} was killed by signal {-status}.")
        raise _ERRORS.get(status, ChatqError)(f"chatq {self._name} ended with {status}: {self._last_words()}")

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def close(self) -> None:
        """Wait until it has ended, and end whatever it has left behind."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        # macOS refuses to signal a group of which only dead processes are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._guard.forget(self.pid)
        self._output.close()

    def _last_words(self) -> str:
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - _TAIL_BYTES))
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("chatq: ") if lines else "it said nothing"


def wait_until_ready(process: Process, port: int) -> None:
    """Wait until the API that ``process`` is answers that it can work.

    Raises:
        ChatqError: it has ended, or takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    last = ""
    while time.monotonic() < deadline:
        process.check()
        try:
            with HttpClient(port) as client:
                answer = client.request("GET", "/readyz")
            if answer.status == 200:
                return
            last = f": {answer.status}"
        except ChatqError as error:
            # It does not listen yet.
            last = f": {error.detail}"
        sleep(_LOOK_SECONDS)
    raise ChatqError(f"chatq api was not ready within {START_SECONDS:.0f} seconds{last}.")
