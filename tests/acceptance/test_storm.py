"""Everybody comes back at once: after the server has ended all resume, and nobody has missed anything."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.parts.census import Census
from tests.parts.client import frame, frames
from tests.parts.limits import allow_open_files
from tests.parts.processes import descendants
from tests.parts.roles import Roles
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS

SOCKETS = 2_000
ROOMS = 50

_HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Follower:
    """A client that follows a conversation, and comes back from the last event that it has."""

    socket: socket.socket

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.last = 0
        self.joined = False
        """Whether it is there, and hears what is said."""
        self._data = bytearray()
        self._upgraded = False

    def connect(self, port: int) -> None:
        """Begin to connect; what was half received is forgotten."""
        self._data, self._upgraded = bytearray(), False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))

    def go_on(self, *, connected: bool) -> bool:
        """Ask for a websocket once ``connected``, else take what has come; return False at the end."""
        try:
            if connected:
                self.socket.sendall(_HEAD)
                return True
            return self._read()
        except OSError:
            return False

    def _read(self) -> bool:
        data = self.socket.recv(1 << 16)
        self._data += data
        if not self._upgraded:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return bool(data)
            assert head.startswith(b"HTTP/1.1 101"), head
            self._data, self._upgraded = rest, True
        for first, payload in frames(self._data):
            opcode = first & 15
            if opcode == 8:
                return False
            if opcode == 9:
                self.socket.sendall(frame(10, payload))
            else:
                self._take(json.loads(payload))
        return bool(data)

    def _take(self, said: dict[str, object]) -> None:
        if said["type"] == "hello":
            join = {"type": "join", "conversationId": self.conversation, "since": self.last}
            self.socket.sendall(frame(1, json.dumps(join).encode()))
        elif said["type"] == "joined":
            assert said["recovered"] is True, said
            self.joined = True
        else:
            assert (said["type"], said["seq"]) == ("newMessage", self.last + 1), said
            self.last += 1


class Crowd:
    """Followers, each of which connects again whenever it is cut off, after a pause of its own."""

    def __init__(self, port: int, followers: list[Follower]) -> None:
        self.followers = followers
        self.cuts = 0
        self._port = port
        self._epoll = select.epoll()
        self._connected: dict[int, Follower] = {}
        self._due = [(0.0, follower) for follower in followers]

    def close(self) -> None:
        """Close all connections."""
        self._epoll.close()
        for follower in self._connected.values():
            follower.socket.close()

    def turn(self) -> None:
        """Let everybody do what there is to do."""
        now = time.monotonic()
        due, self._due = [f for at, f in self._due if at <= now], [(at, f) for at, f in self._due if at > now]
        for follower in due:
            follower.connect(self._port)
            self._connected[follower.socket.fileno()] = follower
            self._epoll.register(follower.socket, select.EPOLLOUT)
        for descriptor, happened in self._epoll.poll(0.05):
            follower = self._connected[descriptor]
            connected = bool(happened & select.EPOLLOUT)
            if not follower.go_on(connected=connected):
                self._epoll.unregister(descriptor)
                del self._connected[descriptor]
                follower.socket.close()
                follower.joined = False
                self.cuts += 1
                self._due.append((now + 0.1 + self.cuts % 100 / 100, follower))
            elif connected:
                self._epoll.modify(descriptor, select.EPOLLIN)


@contextmanager
def crowd_of(port: int, rooms: list[str]) -> Iterator[Crowd]:
    crowd = Crowd(port, [Follower(rooms[number % ROOMS]) for number in range(SOCKETS)])
    try:
        yield crowd
    finally:
        crowd.close()


def test_two_thousand_come_back(sqlite_roles: Roles, valkey: Valkey) -> None:
    allow_open_files(2 * SOCKETS)
    rooms = [f"c{number}" for number in range(ROOMS)]
    sent = 0
    sqlite_roles.start_worker()
    api = sqlite_roles.start_api()

    def speak() -> None:
        nonlocal sent
        sent += 1
        for room in rooms:
            sqlite_roles.send(room, f"message {sent}")

    def turn_until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            crowd.turn()
            assert time.monotonic() < deadline, "somebody has not got everything"

    def all_have_all() -> bool:
        # Some had all when they were cut off: they have to be there again before the next cut can be counted.
        return all(follower.joined and follower.last == sent for follower in crowd.followers)

    with crowd_of(sqlite_roles.port, rooms) as crowd, valkey.client() as operator:
        # Given 2,000 sockets that have got what was said
        speak()
        turn_until(all_have_all)
        assert crowd.cuts == 0
        # When the server ends, in order, while something is being said
        speak()
        api.process.terminate()
        turn_until(lambda: api.process.poll() is not None)
        assert api.wait() == 0
        assert crowd.cuts >= SOCKETS
        api = sqlite_roles.start_api()
        # Then all come back by themselves, and get what they have missed
        turn_until(all_have_all)
        # And when the process that serves is killed, it is the same
        before = crowd.cuts
        speak()
        os.kill(descendants(api.pid)[0], signal.SIGKILL)
        turn_until(lambda: crowd.cuts >= before + SOCKETS)
        turn_until(all_have_all)
        speak()
        turn_until(all_have_all)
        # And nobody is there twice
        census = Census(api.pid, operator)
        listener_and_http = 2
        turn_until(lambda: census.held().connections <= SOCKETS + listener_and_http)
        assert len(census.held().channels) == ROOMS
