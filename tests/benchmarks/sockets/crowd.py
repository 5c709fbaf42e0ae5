"""The client of both sides: plain sockets, as many as wanted, read by one loop that only counts.

It must never be what is measured. So it knows as little of either protocol as it can: a few answers to become a
member of a room, frames by their length, and of those that are delivered the number of bytes.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from tests.parts.client import frame, frames

PATIENCE_SECONDS = 30.0
"""How long nothing at all may arrive."""
_TEXT, _PING = 0x81, 0x89


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client becomes a member of a room."""

    path: str
    answers: tuple[tuple[bytes, bytes], ...]
    """What it says, in frames, to a text that begins so."""
    last: bytes
    """Beginning of the text after which it is a member."""
    event: bytes
    """Beginning of the texts that are events."""


class Member:
    """One connection."""

    def __init__(self, address: tuple[str, int], manners: Manners, events: int, receive_buffer: int | None) -> None:
        """Begin to connect; it is :attr:`settled` once it is a member and has got so many events."""
        self.settled = False
        self._manners = manners
        self._awaited = events
        self._joined = False
        self._upgraded = False
        self._data = bytearray()
        self._head = (
            f"GET {manners.path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect_ex(address)

    def greet(self) -> None:
        """Ask for a websocket, once connected."""
        self.socket.sendall(self._head)

    def read(self) -> None:
        """Read what has come, and say what follows from it."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed a connection")
        self._data += data
        if not self._upgraded:
            head, separator, rest = self._data.partition(b"\r\n\r\n")
            if not separator:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"no websocket: {bytes(head)!r}")
            self._upgraded = True
            self._data = rest
        for opcode, payload in frames(self._data):
            self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.socket.sendall(frame(0xA, payload))
            return
        if opcode != _TEXT:
            raise RuntimeError(f"the server sent opcode {opcode & 15}: {payload!r}")
        if payload.startswith(self._manners.event):
            self._awaited -= 1
        elif payload.startswith(self._manners.last):
            self._joined = True
        for beginning, answer in self._manners.answers:
            if payload.startswith(beginning):
                self.socket.sendall(answer)
        self.settled = self._joined and self._awaited <= 0


class Crowd:
    """Connections to one server; a ``with`` closes them all."""

    def __init__(self, port: int) -> None:
        self.members: list[Member] = []
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, int] = {}
        self.sizes: list[int] = []
        """How many bytes each member has got since it was settled."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()
        for member in self.members:
            member.socket.close()

    def enter(
        self, newcomers: Sequence[Manners], at_once: int, *, events: int = 0, receive_buffer: int | None = None
    ) -> float:
        """Let a member in for each of ``newcomers``, so many at a time; return how long that took, in seconds.

        Each is to get so many ``events``; ``receive_buffer`` is its kernel's, in bytes, by default the usual one.
        """
        began = time.perf_counter()
        waiting = iter(newcomers)
        entering: dict[int, Member] = {}
        settled = 0
        heard_at = began
        while settled < len(newcomers):
            while len(entering) < at_once and (manners := next(waiting, None)) is not None:
                member = Member(self._address, manners, events, receive_buffer)
                entering[member.socket.fileno()] = member
                self._epoll.register(member.socket, select.EPOLLOUT)
            ready = self._epoll.poll(1.0)
            for descriptor, happened in ready:
                member = entering[descriptor] if descriptor in entering else self._settled(descriptor)
                if happened & select.EPOLLOUT:
                    member.greet()
                    self._epoll.modify(descriptor, select.EPOLLIN)
                    continue
                member.read()
                if member.settled and descriptor in entering:
                    del entering[descriptor]
                    settled += 1
                    self._by_descriptor[descriptor] = len(self.members)
                    self.members.append(member)
                    self.sizes.append(0)
            heard_at = _patient(heard_at, heard=bool(ready))
        return time.perf_counter() - began

    def stop_reading(self, numbers: Sequence[int]) -> None:
        """Let these members read nothing from now on."""
        for number in numbers:
            self._epoll.unregister(self.members[number].socket)

    def count(self, timeout: float, note: Callable[[int, int, float], None] | None = None) -> int:
        """Read whatever has arrived, or what arrives first within ``timeout`` seconds, and return how many bytes.

        ``note`` is called with a member's number, its bytes so far, and when that was.
        """
        total = 0
        sizes, numbers, members = self.sizes, self._by_descriptor, self.members
        for descriptor, _happened in self._epoll.poll(timeout):
            number = numbers[descriptor]
            got = len(members[number].socket.recv(1 << 18))
            if not got:
                raise RuntimeError("the server closed a connection")
            sizes[number] += got
            total += got
            if note is not None:
                note(number, sizes[number], time.perf_counter())
        return total

    def is_closed(self, number: int) -> bool:
        """Read all that a member has left unread; tell whether the server has closed its connection meanwhile."""
        connection = self.members[number].socket
        connection.settimeout(1.0)
        with suppress(TimeoutError):
            with suppress(ConnectionResetError):
                while connection.recv(1 << 18):
                    pass
            return True
        return False

    def _settled(self, descriptor: int) -> Member:
        return self.members[self._by_descriptor[descriptor]]


def _patient(heard_at: float, *, heard: bool) -> float:
    now = time.perf_counter()
    if heard:
        return now
    if now - heard_at > PATIENCE_SECONDS:
        raise RuntimeError(f"nothing has arrived for {PATIENCE_SECONDS:.0f} s")
    return heard_at
