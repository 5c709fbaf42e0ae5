"""Messages sent over sockets: how many a second one process accepts."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.benchmarks.chat import ACCEPTED, WARM_UP, post_to_guide
from tests.benchmarks.chatq_side import CONVERSATIONS
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.sockets.crowd import PATIENCE_SECONDS
from tests.benchmarks.sockets.sides import chatq_server
from tests.benchmarks.stage import Stage
from tests.parts.client import RawSocket, frame, frames

CONNECTIONS = 32
IN_FLIGHT = 16
"""Frames of a connection that are not answered yet."""
SENT = 4 * ACCEPTED
"""So that it lasts about as long as the POSTs do."""


class Sender:
    """One connection, with all that it is to say, made beforehand."""

    def __init__(self, raw: RawSocket, said: list[bytes]) -> None:
        self.socket: socket.socket = raw.socket
        self.accepted = 0
        self._said = said
        self._at = 0
        self._data = bytearray()

    def say(self, count: int) -> None:
        """Send the next ``count`` frames, as far as there are such."""
        frames = self._said[self._at : self._at + count]
        self._at += len(frames)
        if frames:
            self.socket.sendall(b"".join(frames))

    def hear(self) -> None:
        """Read answers, and send as many frames more."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise RuntimeError("the server closed a connection")
        self._data += data
        count = 0
        for _opcode, payload in frames(self._data):
            if not payload.startswith(b'{"type":"accepted"'):
                raise RuntimeError(f"not accepted: {payload!r}")
            count += 1
        self.accepted += count
        self.say(count)


def accept(stage: Stage, redis_url: str, messages: int, warm_up: int) -> Figures:
    """Have one API process, with no worker, accept messages; return how many a second."""
    with chatq_server(stage, redis_url, 0) as (server, _), ExitStack() as stack:
        raws = [stack.enter_context(RawSocket(server.port)) for _ in range(CONNECTIONS)]
        for raw in raws:
            raw.read()
        _send(raws, "warm-up", warm_up)
        return {"accept_rate": messages / _send(raws, "hello", messages)}


def _send(raws: Sequence[RawSocket], label: str, messages: int) -> float:
    """Send so many messages and return how many seconds it took until the last was accepted."""
    said = [_frame(label, number) for number in range(messages)]
    senders = [Sender(raw, said[at :: len(raws)]) for at, raw in enumerate(raws)]
    by_descriptor = {sender.socket.fileno(): sender for sender in senders}
    with select.epoll() as epoll:
        for descriptor in by_descriptor:
            epoll.register(descriptor, select.EPOLLIN)
        began = time.perf_counter()
        for sender in senders:
            sender.say(IN_FLIGHT)
        while sum(sender.accepted for sender in senders) < messages:
            ready = epoll.poll(PATIENCE_SECONDS)
            if not ready:
                raise RuntimeError("answers are missing")
            for descriptor, _happened in ready:
                by_descriptor[descriptor].hear()
        return time.perf_counter() - began


def _frame(label: str, number: int) -> bytes:
    data = {"senderId": "alice", "content": f"{label} {number}"}
    conversation = f"c{number % CONVERSATIONS}"
    said = {"type": "send", "ref": f"{number}", "conversationId": conversation, "messageData": data}
    return frame(1, json.dumps(said, separators=(",", ":")).encode())


@contextmanager
def against_posts(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give chatq's run over sockets, and the guide's over HTTP."""
    options: dict[str, str | int] = {"messages": stage.sized(ACCEPTED), "warm_up": stage.sized(WARM_UP)}
    with stage.valkey() as url:
        yield [
            lambda: accept(stage, url, stage.sized(SENT), stage.sized(WARM_UP)),
            lambda: post_to_guide(stage, url, options, workers=False),
        ]


BENCHMARKS = (
    Benchmark(
        "send",
        "`send` to `accepted`, one API process, 32 sockets with 16 in flight each; POSTs over 32 connections",
        ("chatq", "Express + BullMQ"),
        (Measure("accept_rate", "messages/s", at_least=4),),
        against_posts,
    ),
)
