"""The two kinds of worker process, from settings to the end."""

from __future__ import annotations

from chatq.queue.connection import connect
from chatq.queue.lanes import Lanes
from chatq.worker.messages import MessageWorker
from chatq.worker.presence import Presence, new_name
from chatq.worker.signals import StopSignal
import redis
from sqlalchemy import Engine


def run_messages(url: str, engine: Engine, lanes: int, *, burst: bool = False) -> None:
    """Do message jobs in this process until SIGTERM, or, with ``burst``, until none is ready.

    Args:
        url: of the Redis.
        engine: of the database.
        lanes: how many lanes the installation has.
        burst: end when nothing is ready.
    """
    stop = StopSignal()
    stop.install()
    client = connect(url)
    name = new_name("messages")
    worker = MessageWorker(
        client,
        connect(url, timeout=None),
        engine,
        Lanes(client, lanes, name),
        Presence(client, name, lanes),
    )
    worker.run(stop, burst=burst)
