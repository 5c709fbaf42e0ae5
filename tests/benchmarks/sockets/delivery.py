"""Delivery: one process, many sockets; how many messages a second reach them, and how late with clients that hang."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.sockets.crowd import PATIENCE_SECONDS, Crowd
from tests.benchmarks.sockets.sides import HEAD_BYTES, Server, chatq_server, socket_io_server
from tests.benchmarks.stage import Stage

SOCKETS = 1_000
AT_ONCE = 50
"""How many connect at a time."""
BYTES = 500
"""A frame's payload: a message of some ten words."""
DELIVERIES = 300_000
IN_FLIGHT = 16_000
"""Deliveries that are under way at most."""
WARM_UP = 20_000
PAUSE_SECONDS = 0.002
"""Between two rounds of reading: the client waits rather than to take the server's time."""

LATE_BYTES = 5_000
LATE_MESSAGES = 1_000
LATE_RATE = 50
"""Messages a second."""
HANGING = 100
"""One client of so many does not read."""
HANGING_BUFFER = 4096
"""What its kernel takes in its stead: little, so that the server soon has to keep what it leaves unread."""


def deliver(server: Server, rooms: int, deliveries: int) -> Figures:
    """Have messages delivered to :data:`SOCKETS` sockets in so many rooms, as fast as it goes."""
    members = SOCKETS // rooms
    names = [f"c{number}" for number in range(rooms)]
    with Crowd(server.port) as crowd:
        crowd.enter([server.manners(names[number % rooms], None) for number in range(SOCKETS)], AT_ONCE)
        pump = _Pump(server, crowd, names, members)
        pump.run(WARM_UP)
        began = time.perf_counter()
        pump.run(deliveries)
        took = time.perf_counter() - began
        singly = pump.one_by_one(deliveries // members // 5)
        expected = pump.sent // rooms * (BYTES + HEAD_BYTES)
        if any(size != expected for size in crowd.sizes):
            raise RuntimeError("not everybody has got the same")
    return {"rate": deliveries / took, "one by one": singly}


class _Pump:
    """Keeps deliveries under way, the rooms in turn."""

    def __init__(self, server: Server, crowd: Crowd, rooms: Sequence[str], members: int) -> None:
        self.sent = 0
        self._server = server
        self._crowd = crowd
        self._rooms = rooms
        self._members = members
        self._received = 0

    def run(self, deliveries: int) -> None:
        """Have so many more deliveries made, and wait for all of them."""
        last = self.sent + deliveries // self._members
        heard_at = time.perf_counter()
        size = BYTES + HEAD_BYTES
        while self._received < last * self._members * size:
            room = (self._received // size + IN_FLIGHT) // self._members - self.sent
            if (more := min(room, last - self.sent)) > 0:
                self._server.emit([self._message(self.sent + n) for n in range(more)])
                self.sent += more
            got = self._crowd.count(1.0)
            self._received += got
            if got:
                heard_at = time.perf_counter()
            elif time.perf_counter() - heard_at > PATIENCE_SECONDS:
                raise RuntimeError("deliveries are missing")
            time.sleep(PAUSE_SECONDS)

    def one_by_one(self, messages: int) -> float:
        """Send so many messages, each once all have got the one before; return how many deliveries that is a second."""
        messages -= messages % len(self._rooms)
        began = time.perf_counter()
        for _ in range(messages):
            self._server.emit([self._message(self.sent)])
            self.sent += 1
            while self._received < self.sent * self._members * (BYTES + HEAD_BYTES):
                self._received += self._crowd.count(PATIENCE_SECONDS)
        return messages * self._members / (time.perf_counter() - began)

    def _message(self, number: int) -> tuple[str, int]:
        rooms = len(self._rooms)
        return self._rooms[number % rooms], number // rooms + 1


def delay(server: Server, messages: int, hanging: int) -> Figures:
    """Send messages at a steady rate; return how late they arrive at those who read, in milliseconds."""
    size = LATE_BYTES + HEAD_BYTES
    with Crowd(server.port) as crowd:
        manners = [server.manners("c", None) for _ in range(SOCKETS)]
        crowd.enter(manners[:hanging], AT_ONCE, receive_buffer=HANGING_BUFFER)
        crowd.enter(manners[hanging:], AT_ONCE)
        crowd.stop_reading(range(hanging))
        sent, late = array("d"), array("d")
        heard = array("l", [0]) * SOCKETS

        def note(number: int, got: int, now: float) -> None:
            while heard[number] < got // size:
                late.append(now - sent[heard[number]])
                heard[number] += 1

        began = heard_at = time.perf_counter()
        due = messages * (SOCKETS - hanging)
        while len(late) < due:
            now = time.perf_counter()
            if len(sent) < messages and now >= began + len(sent) / LATE_RATE:
                sent.append(now)
                server.emit([("c", len(sent))])
            pause = began + len(sent) / LATE_RATE - now if len(sent) < messages else 1.0
            if crowd.count(max(0.0, pause), note):
                heard_at = now
            elif now - heard_at > PATIENCE_SECONDS:
                raise RuntimeError(f"{due - len(late)} deliveries are missing")
        closed = sum(crowd.is_closed(number) for number in range(hanging))
    ordered = sorted(late)
    p99, p50 = ordered[len(ordered) * 99 // 100], ordered[len(ordered) // 2]
    return {"p99": p99 * 1e3, "p50": p50 * 1e3, "closed": closed}


def _against_socket_io(rooms: int) -> Callable[[Stage], Iterator[Sequence[Run]]]:
    def give(stage: Stage) -> Iterator[Sequence[Run]]:
        deliveries = max(2 * IN_FLIGHT, stage.sized(DELIVERIES) // SOCKETS * SOCKETS)
        with stage.valkey() as url:

            def chatq() -> Figures:
                with chatq_server(stage, url, BYTES) as (server, _):
                    return deliver(server, rooms, deliveries)

            def socket_io() -> Figures:
                with socket_io_server(stage, BYTES) as server:
                    return deliver(server, rooms, deliveries)

            yield [chatq, socket_io]

    return give


@contextmanager
def with_hanging_clients(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give a run with some clients that do not read at all, and one in which all do."""
    messages = stage.sized(LATE_MESSAGES)
    with stage.valkey() as url:

        def run(hanging: int) -> Figures:
            with chatq_server(stage, url, LATE_BYTES) as (server, _):
                return delay(server, messages, hanging)

        yield [lambda: run(SOCKETS // HANGING), lambda: run(0)]


SOCKET_IO = "Socket.IO"
BENCHMARKS = (
    Benchmark(
        "fan-out",
        "one process, one conversation of 1,000 sockets",
        ("chatq", SOCKET_IO),
        (Measure("rate", "deliveries/s", at_least=2), Measure("one by one", "deliveries/s")),
        contextmanager(_against_socket_io(1)),
    ),
    Benchmark(
        "rooms",
        "one process, 50 conversations of 20 sockets",
        ("chatq", SOCKET_IO),
        (Measure("rate", "deliveries/s", at_least=1.5),),
        contextmanager(_against_socket_io(50)),
    ),
    Benchmark(
        "hanging",
        "delivery to 1,000 sockets, 50 messages a second",
        ("1 in 100 not reading", "all reading"),
        (Measure("p99", "ms", at_most=1.5),),
        with_hanging_clients,
    ),
)
