"""A network that is slow in the middle of a pipeline."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from threading import Event

from tests.parts.proxy import Proxy, _shut


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
                    self.go_on.wait(20)
                    data = data[start:]
                server.sendall(data)
        _shut(server)
