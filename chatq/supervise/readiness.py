"""Is the API ready? A question that can be asked again and again and never waits."""

from __future__ import annotations

import socket
from contextlib import suppress


class ApiReadiness:
    """Asks ``GET /readyz`` of the API at ``host`` and ``port``; calling it tells whether it has answered 200."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._connection: socket.socket | None = None
        self._unsent = b""
        self._answer = b""

    def __call__(self) -> bool:
        """Go on with the question; a connection that breaks is begun anew."""
        try:
            return self._go_on()
        except BlockingIOError:
            return False
        except OSError:
            self._hang_up()
            return False

    def _go_on(self) -> bool:
        if self._connection is None:
            self._connection = self._connect()
            self._unsent = f"GET /readyz HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n".encode()
            self._answer = b""
        while self._unsent:
            self._unsent = self._unsent[self._connection.send(self._unsent) :]
        while b"\r\n" not in self._answer:
            news = self._connection.recv(4096)
            if not news:
                self._hang_up()
                return False
            self._answer += news
        self._hang_up()
        return self._answer.split(b" ", 2)[1:2] == [b"200"]

    def _connect(self) -> socket.socket:
        family, kind, protocol, _name, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.connect(address)
        return connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
