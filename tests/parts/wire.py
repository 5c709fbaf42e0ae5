"""A network between websocket clients and a server that loses single frames, or says something of its own."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import IO

from chatq.realtime.reader import Reader
from tests.parts.told import CLIENT, check_frame

_TEXT = 0x81
_SLOW, _QUICK = b'"heartbeatSeconds":25', b'"heartbeatSeconds":1 '


class Wire:
    """Listens on a port and passes everything on to a server's port and back, frame by frame on the way back.

    Clients are told to send a heartbeat every second if it is ``quick``. They leave a server that is silent for as
    long, as one may be on a machine that has much else to do.
    """

    def __init__(self, server_port: int, *, quick: bool = True) -> None:
        self.passed: list[bytes] = []
        """Payloads of the server's frames that were passed on."""
        self.lost: list[bytes] = []
        """Payloads of the frames that were lost."""
        self.connections = 0
        """How many websockets there have been."""
        self.quick = quick
        self._server_port = server_port
        self._losing: list[bytes] = []
        self._lock = Lock()
        self._passing: list[_Passing] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def lose(self, *parts: bytes) -> None:
        """For each of these, lose the server's next frame that contains it."""
        with self._lock:
            self._losing += parts

    def go_silent(self) -> None:
        """Pass nothing on any more over the connections that there are."""
        for each in self._passing:
            each.silent.set()

    def cut(self) -> None:
        """Break all connections, as if a cable were cut."""
        for each in self._passing:
            each.cut()

    def end(self, code: int) -> None:
        """Say to all clients, in the server's name, that their connections end, and why."""
        for each in self._passing:
            each.end(code)

    def close(self) -> None:
        """Break all connections and listen no more."""
        _shut(self._listener)
        self._listener.close()
        self.cut()

    def keep(self, payload: bytes) -> bool:
        """Tell whether a frame is to be passed on."""
        with self._lock:
            part = next((part for part in self._losing if part in payload), None)
            if part is not None:
                self._losing.remove(part)
            (self.passed if part is None else self.lost).append(payload)
            return part is None

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                passing = _Passing(self, client)
                try:
                    passing.server.connect(("127.0.0.1", self._server_port))
                except OSError:
                    passing.cut()
                    continue
                self._passing.append(passing)
                Thread(target=passing.requests, daemon=True).start()
                Thread(target=passing.answers, daemon=True).start()


class _Passing:
    """One connection, and the other that it is passed on over."""

    def __init__(self, wire: Wire, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket()
        self.silent = Event()
        self._wire = wire

    def requests(self) -> None:
        said = _Said()
        with suppress(OSError):
            while data := self.client.recv(1 << 16):
                said.take(data)
                if not self.silent.is_set():
                    self.server.sendall(data)
        _shut(self.server)

    def answers(self) -> None:
        with suppress(OSError), self.server.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n")) + b"\r\n"
            self.client.sendall(head)
            if head.startswith(b"HTTP/1.1 101"):
                self._wire.connections += 1
                self._frames(stream)
            else:
                while data := stream.read1():
                    self.client.sendall(data)
        self.cut()

    def end(self, code: int) -> None:
        self.silent.set()
        with suppress(OSError):
            self.client.sendall(struct.pack("!BBH", 0x88, 2, code))
        _shut(self.server)

    def cut(self) -> None:
        for each in (self.client, self.server):
            _shut(each)
            each.close()

    def _frames(self, stream: IO[bytes]) -> None:
        while (frame := _read_frame(stream)) is not None:
            head, payload = frame
            if head[0] == _TEXT:
                check_frame(payload)
            if not self.silent.is_set() and self._wire.keep(payload):
                self.client.sendall(head + (payload.replace(_SLOW, _QUICK) if self._wire.quick else payload))


class _Said:
    """Checks the frames of a client, which knows the rules."""

    def __init__(self) -> None:
        self._head = b""
        self._reader: Reader | None = None

    def take(self, data: bytes) -> None:
        if self._reader is None:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end or b"upgrade: websocket" not in head.lower():
                return
            self._reader = Reader(1 << 24)
        for message in self._reader.receive(data):
            if isinstance(message, str):
                check_frame(message, CLIENT)


def _read_frame(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    head = stream.read(2)
    if len(head) < 2:
        return None
    size = head[1]
    if size > 125:
        extended = stream.read(2 if size == 126 else 8)
        head, size = head + extended, int.from_bytes(extended)
    return head, stream.read(size)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
