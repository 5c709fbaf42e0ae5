"""The servers of both sides: where they listen, what a client says to them, and how they are told to deliver."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from chatq.queue import keys
from tests.benchmarks.chatq_side import ChatqSide, installation
from tests.benchmarks.sockets.crowd import Manners
from tests.benchmarks.stage import Stage
from tests.parts.client import frame
from tests.parts.ports import free_port
from tests.parts.processes import descendants

HEAD_BYTES = 4
"""What stands before a payload of 126 to 65535 bytes in a server's frame."""
_NOW = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Server:
    """One process that serves sockets."""

    port: int
    pid: int
    manners: Callable[[str, int | None], Manners]
    """How a client becomes a member of a room: as user ``number``, where there are users, or as nobody."""
    emit: Callable[[Sequence[tuple[str, int]]], None]
    """Have it deliver messages, each given as its room and its number there; numbers begin at 1."""


@contextmanager
def chatq_server(stage: Stage, redis_url: str, payload_bytes: int) -> Iterator[tuple[Server, ChatqSide]]:
    """Run ``chatq api``; what a worker would publish is published in its place, one event at a time."""
    with (
        stage.postgres_database() as database_url,
        installation(stage, redis_url, database_url) as chatq,
        chatq.serving() as (url, running),
    ):
        port = urlsplit(url).port
        assert port is not None
        (child,) = descendants(running.pid)
        address = urlsplit(redis_url)
        with _connected(int(address.port or 0)) as publisher:

            def emit(messages: Sequence[tuple[str, int]]) -> None:
                publisher.send(b"".join(_publish(room, number, payload_bytes) for room, number in messages))

            yield Server(port, child, chatq_manners, emit), chatq


@contextmanager
def socket_io_server(stage: Stage, payload_bytes: int) -> Iterator[Server]:
    """Run ``rooms.js``, which emits what it is told over a socket."""
    port = free_port()
    running = stage.programs.start("rooms.js", {"PORT": str(port), "BYTES": str(payload_bytes)})
    try:
        orders = int(running.wait_for(r"ready (\d+)")[1])
        with _connected(orders) as connection:

            def emit(messages: Sequence[tuple[str, int]]) -> None:
                connection.send("".join(f"{room} {number}\n" for room, number in messages).encode())

            yield Server(port, running.pid, socket_io_manners, emit)
    finally:
        running.close()


def chatq_manners(room: str, number: int | None, since: int | None = None) -> Manners:
    """Return how a client greets chatq, says who it is, if it is anybody, and joins."""
    said: list[dict[str, object]] = [] if number is None else [{"type": "auth", "userId": f"user-{number}"}]
    said.append({"type": "join", "conversationId": room} | ({} if since is None else {"since": since}))
    return Manners(
        "/ws",
        ((b'{"type":"hello"', b"".join(frame(1, json.dumps(each).encode()) for each in said)),),
        last=b'{"type":"joined"',
        event=b'{"type":"newMessage"',
    )


def socket_io_manners(room: str, _number: int | None) -> Manners:
    """Return how a client greets Socket.IO, which knows no users, and joins with an acknowledgement."""
    answers = {b"0{": "40", b"40{": f'420["join","{room}"]', b"2": "3"}
    return Manners(
        "/socket.io/?EIO=4&transport=websocket",
        tuple((beginning, frame(1, said.encode())) for beginning, said in answers.items()),
        last=b"430[",
        event=b"42[",
    )


class _Publisher:
    """A connection on which things are said whose answers matter to nobody."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        with suppress(BlockingIOError):
            while self.socket.recv(1 << 16, socket.MSG_DONTWAIT):
                pass


@contextmanager
def _connected(port: int) -> Iterator[_Publisher]:
    publisher = _Publisher(port)
    try:
        yield publisher
    finally:
        publisher.socket.close()


def _publish(room: str, number: int, payload_bytes: int) -> bytes:
    channel, payload = keys.conversation_channel(room).encode(), event(room, number, payload_bytes)
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(channel), channel, len(payload), payload)


def event(room: str, number: int, payload_bytes: int) -> bytes:
    """Return event ``number`` of a room, padded to so many bytes."""
    head = (
        f'{{"type":"newMessage","conversationId":"{room}","seq":{number},'
        f'"message":{{"id":"00000000-0000-7000-8000-000000000000","conversationId":"{room}","seq":{number},'
        '"senderId":"alice","clientMessageId":null,"content":"'
    )
    tail = (
        f'","metadata":null,"status":"sent","createdAt":"{_NOW}","persistedAt":"{_NOW}","editedAt":null,'
        '"deletedAt":null}}'
    )
    return f"{head}{'x' * (payload_bytes - len(head) - len(tail))}{tail}".encode()
