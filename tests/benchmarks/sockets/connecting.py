"""Connections: what one costs in memory, and how many come, join and resume in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, insert

from chatq.store.tables import conversations, events
from tests.benchmarks.measure import Benchmark, Figures, Measure, Run
from tests.benchmarks.sockets.crowd import Crowd, Manners
from tests.benchmarks.sockets.delivery import SOCKET_IO
from tests.benchmarks.sockets.sides import Server, chatq_manners, chatq_server, event, socket_io_server
from tests.benchmarks.stage import Stage
from tests.parts.processes import resident

CONNECTIONS = 5_000
ROOM = 20
"""Connections of a conversation."""
AT_ONCE = 50
"""How many connect at a time."""
WARM_UP = 100
"""Connections that are made, and closed, before those that count."""
COMING = 2_000
BEHIND = 100
"""How many events a client that comes back has missed."""
KEPT = 1_000
"""Events of each conversation."""
BYTES = 400
"""Of an event: a message of two words, as in the other benchmarks."""


def weigh(server: Server, connections: int) -> Figures:
    """Return by how much the process grows with each connection, in KB: joined, and idle since."""
    with Crowd(server.port) as crowd:
        crowd.enter(_manners(server, WARM_UP), AT_ONCE)
    with Crowd(server.port) as crowd:
        before = resident(server.pid)
        crowd.enter(_manners(server, connections), AT_ONCE)
        # Answered by all is done with all: what is left is what they keep.
        return {"memory": (resident(server.pid) - before) * 1024 / connections}


def arrive(server: Server, connections: int, manners: Callable[[str, int | None], Manners], missed: int) -> float:
    """Return how many clients a second connect, join and get what they missed."""
    # Those of a conversation come one by one, with others between.
    names = [f"c{number % (connections // ROOM)}" for number in range(connections)]
    with Crowd(server.port) as crowd:
        crowd.enter([manners(f"warm{number // ROOM}", number) for number in range(WARM_UP)], AT_ONCE, events=missed)
    with Crowd(server.port) as crowd:
        took = crowd.enter([manners(name, number) for number, name in enumerate(names)], AT_ONCE, events=missed)
    return connections / took


def _manners(server: Server, count: int) -> list[Manners]:
    return [server.manners(f"c{number // ROOM}", number) for number in range(count)]


def _store_events(engine: Engine, rooms: Sequence[str]) -> None:
    """Give each conversation its events."""
    now = "2026-01-01T00:00:00.000Z"
    with engine.begin() as connection:
        for at, room in enumerate(rooms):
            connection.execute(insert(conversations), {"id": room, "last_seq": KEPT, "created_at": now})
            rows = [
                {
                    "conversation_id": room,
                    "seq": seq,
                    "type": "newMessage",
                    "message_id": f"{at:08}-0000-7000-8000-{seq:012}",
                    "job_id": f"{at:08}-0000-7000-8000-{seq:012}",
                    "payload": event(room, seq, BYTES).decode(),
                    "created_at": now,
                }
                for seq in range(1, KEPT + 1)
            ]
            connection.execute(insert(events), rows)


@contextmanager
def memory(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs that weigh the serving process with and without connections."""
    connections = max(500, stage.sized(CONNECTIONS))
    with stage.valkey() as url:

        def chatq() -> Figures:
            with chatq_server(stage, url, BYTES) as (server, _):
                return weigh(server, connections)

        def socket_io() -> Figures:
            with socket_io_server(stage, BYTES) as server:
                return weigh(server, connections)

        yield [chatq, socket_io]


@contextmanager
def coming_back(stage: Stage) -> Iterator[Sequence[Run]]:
    """Give runs in which clients come: chatq's resume, Socket.IO's only join."""
    connections = stage.sized(COMING)
    rooms = [f"c{number}" for number in range(connections // ROOM)] + [f"warm{n}" for n in range(WARM_UP // ROOM)]
    with stage.valkey() as url:

        def come(*, named: bool) -> float:
            def manners(room: str, number: int | None) -> Manners:
                return chatq_manners(room, number if named else None, KEPT - BEHIND)

            with chatq_server(stage, url, BYTES) as (server, side):
                _store_events(side.services.engine, rooms)
                return arrive(server, connections, manners, BEHIND)

        def chatq() -> Figures:
            return {"rate": come(named=False), "as users": come(named=True)}

        def socket_io() -> Figures:
            with socket_io_server(stage, BYTES) as server:
                rate = arrive(server, connections, server.manners, 0)
            return {"rate": rate, "as users": rate}

        yield [chatq, socket_io]


BENCHMARKS = (
    Benchmark(
        "socket-memory",
        "one process, 5,000 connections, each in a conversation",
        ("chatq", SOCKET_IO),
        (Measure("memory", "KB", at_most=35, of_ratio=False),),
        memory,
    ),
    Benchmark(
        "connect",
        "one process: connected, joined and, with chatq, resumed 100 events back",
        ("chatq", SOCKET_IO),
        (Measure("rate", "connects/s", at_least=1), Measure("as users", "connects/s")),
        coming_back,
    ),
)
