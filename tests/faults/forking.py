"""Workers that are forked off a process which has imported everything: to start one costs next to nothing.

A test has dozens of them killed and replaced. Each is a process of its own with a session of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["tests.faults.worker"])


class Forked:
    """What :class:`subprocess.Popen` is for a command, for the ``main`` of a module that is imported already."""

    def __init__(self, main: Callable[[], None], environment: Mapping[str, str], log: Path) -> None:
        orders, said = _FORKSERVER.Pipe(duplex=False), _FORKSERVER.Pipe(duplex=False)
        arguments = (main, dict(environment), str(log), orders[0], said[1])
        self._process = _FORKSERVER.Process(target=_become, args=arguments)
        self._process.start()
        orders[0].close()
        said[1].close()
        self.stdin: IO[str] = os.fdopen(os.dup(orders[1].fileno()), "w")
        self.stdout: IO[str] = os.fdopen(os.dup(said[0].fileno()))
        orders[1].close()
        said[0].close()
        # Its session is a new one only once it says so.
        self.stdout.readline()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, a signal's number with a minus; None if it has not ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return the exit status."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked worker", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


def _become(
    main: Callable[[], None], environment: dict[str, str], log: str, orders: Connection, said: Connection
) -> None:
    """Take the place that a command of its own would have, and run ``main``."""
    os.setsid()
    os.chdir(Path(log).parent)
    with Path(log).open("ab") as stderr:
        for number, source in enumerate((orders.fileno(), said.fileno(), stderr.fileno())):
            os.dup2(source, number)
    orders.close()
    said.close()
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    print("forked", flush=True)
    main()
