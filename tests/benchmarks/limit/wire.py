"""Redis without a client library: commands packed and answers parsed by hiredis, over a plain socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import hiredis

Argument = str | bytes | int | float


class Wire:
    """A connection that sends many commands at once and reads all their answers."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def send(self, commands: Iterable[tuple[Argument, ...]]) -> list[object]:
        """Send commands in one go and return their answers; the first error among them is raised."""
        packed = [hiredis.pack_command(c) for c in commands]  # type: ignore[arg-type]  # typed as one argument
        self._socket.sendall(b"".join(packed))
        answers: list[object] = []
        while len(answers) < len(packed):
            answer = self._reader.gets()
            if answer is False:
                self._reader.feed(self._socket.recv(1 << 20))
                continue
            if isinstance(answer, hiredis.ReplyError):
                raise answer
            answers.append(answer)
        return answers
