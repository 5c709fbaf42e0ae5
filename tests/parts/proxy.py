"""A proxy in front of a server's unix socket: a network that loses what it is told to lose."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread


class Proxy:
    """Listens on ``path`` and passes everything on to ``server`` and back, until it is told otherwise."""

    def __init__(self, path: Path, server: Path) -> None:
        self.url = f"unix://{path}"
        self.lost = 0
        """How many answers were lost."""
        self._server = server
        self._losing: bytes | None = None
        self._deaf = Event()
        self._lock = Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._sockets: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def lose_answer_to(self, request: bytes) -> None:
        """Break the connection once the server has answered the next request that contains ``request``."""
        with self._lock:
            self._losing = request

    def go_deaf(self) -> None:
        """From now on swallow, without a word, whatever comes over the connections that there are."""
        with self._lock:
            self._deaf.set()
            self._deaf = Event()

    def close(self) -> None:
        """Break all connections and listen no more."""
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(str(self._server))
                except OSError:
                    # It is away: so is what is in front of it, until it comes back.
                    client.close()
                    server.close()
                    continue
                self._sockets += [client, server]
                losing = Event()
                Thread(target=self._requests, args=(client, server, losing, self._deaf), daemon=True).start()
                Thread(target=self._answers, args=(client, server, losing, self._deaf), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, losing: Event, deaf: Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                with self._lock:
                    if self._losing is not None and self._losing in data:
                        self._losing = None
                        losing.set()
                if not deaf.is_set():
                    server.sendall(data)
        _shut(server)

    def _answers(self, client: socket.socket, server: socket.socket, losing: Event, deaf: Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                if losing.is_set():
                    self.lost += 1
                    break
                if not deaf.is_set():
                    client.sendall(data)
        _shut(client)
        _shut(server)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
