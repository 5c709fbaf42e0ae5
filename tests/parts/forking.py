"""Processes that are forked off one which has imported everything already: to start one costs next to nothing.

The tests start hundreds of servers, and most of what a server does while it starts is to import. Each is a process of
its own, with a session of its own, and runs what its command runs. Those whose start, or command line, is what a test
is about are started as users start them.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import IO, NamedTuple

from tests.parts.root import ROOT


class Program(NamedTuple):
    """What runs in the processes of one kind."""

    main: str
    """A function without arguments that reads ``sys.argv``: ``module:name``."""
    imports: tuple[str, ...] = ()
    """Modules that it would import."""
    gevent: bool = False
    """Whether it begins with patching the standard library."""


API = Program("chatq.cli.app:main", ("chatq.cli.roles", "chatq.web.app", "chatq.web.serve"), gevent=True)
COMMAND = Program(
    "chatq.cli.app:main",
    ("chatq.cli.roles", "chatq.cli.enqueueing", "chatq.supervise.heartbeat", "chatq.worker.run"),
)
"""Workers, and all commands whose work, not whose start, a test is about."""


class Forked:
    """What :class:`subprocess.Popen` is for a command: stdin is empty and the rest is read, unless told otherwise."""

    def __init__(
        self,
        program: Program,
        args: Sequence[str] = (),
        *,
        directory: Path,
        environment: Mapping[str, str],
        orders: bool = False,
        log: Path | None = None,
    ) -> None:
        """Start ``program`` in ``directory``; with ``orders`` it reads stdin, with a ``log`` stderr goes there."""
        orders_in, orders_out = os.pipe()
        said, stdout = os.pipe()
        complained, stderr = os.pipe()
        fate, told = os.pipe()
        if log is not None:
            os.close(stderr)
            stderr = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        request = json.dumps([list(args), str(directory), dict(environment)]).encode()
        passed_on = [orders_in, stdout, stderr, told]
        socket.send_fds(_parent_of(program), [request], passed_on)
        for descriptor in passed_on:
            os.close(descriptor)
        self.stdin: IO[str] = os.fdopen(orders_out, "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(said, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(complained, encoding="utf-8")
        if not orders:
            self.stdin.close()
        if log is not None:
            self.stderr.close()
        self.returncode: int | None = None
        self._ended = Event()
        news: IO[str] = os.fdopen(fate, encoding="utf-8")
        self.pid = int(news.readline())
        # Several threads may ask at the same time how it ended.
        Thread(target=self._wait, args=(news,)).start()

    def poll(self) -> int | None:
        """Return the exit status, a signal's number with a minus; None if it has not ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, ``timeout`` seconds at most, and return the exit status."""
        self._ended.wait(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        # That it has ended may be known a moment later.
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _wait(self, news: IO[str]) -> None:
        with news:
            self.returncode = int(news.readline())
        self._ended.set()


@cache
def _parent_of(program: Program) -> socket.socket:
    """Start the process off which all of this kind are forked, and return what takes requests to it."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        parent = subprocess.Popen(
            [sys.executable, "-m", "tests.parts.forked", str(its.fileno()), json.dumps(program)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        parent.wait()

    atexit.register(end)
    return ours
