"""A network that is slow in the middle of a pipeline, and a server that forgets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event

import redis

from tests.parts.proxy import Proxy, _shut
from tests.parts.waiting import PATIENCE_SECONDS


class Splitter(Proxy):
    """Passes everything on, but stops before one command until it is told to go on."""

    def __init__(self, path: Path, server: Path, marker: bytes) -> None:
        """``marker``: what the command begins with, behind its name, before which all waits for ``go_on``."""
        super().__init__(path, server)
        self.held = Event()
        """Set once it has stopped."""
        self.go_on = Event()
        self._marker = marker

    def _requests(self, client: socket.socket, server: socket.socket, losing: Event, deaf: Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if (at := data.find(self._marker)) >= 0:
                    start = data.rfind(b"\r\n*", 0, at) + 2
                    server.sendall(data[:start])
                    self.held.set()
                    self.go_on.wait(PATIENCE_SECONDS)
                    data = data[start:]
                server.sendall(data)
        _shut(server)


class Forgetful(Proxy):
    """Passes everything on, but before that lets the server forget something each time."""

    def __init__(self, path: Path, server: Path, forget: Callable[[redis.Redis], object]) -> None:
        """``forget`` is called with a client of the server."""
        super().__init__(path, server)
        self._forget = forget

    def _requests(self, client: socket.socket, server: socket.socket, losing: Event, deaf: Event) -> None:
        with suppress(OSError), closing(redis.Redis(unix_socket_path=str(self._server))) as operator:
            while data := client.recv(1 << 20):
                self._forget(operator)
                server.sendall(data)
        _shut(server)
