"""chatq as its users run it: processes of its command, fed by its own edge."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import redis
import sqlalchemy

from chatq.cli.compose import build, check
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import MessageData
from chatq.errors import ChatqError
from chatq.queue import keys
from chatq.queue.codec import prepare
from chatq.settings import load
from tests.benchmarks.backlog import Backlog
from tests.benchmarks.stage import Stage, empty, set_up_tables
from tests.parts.command import Chatq, Running
from tests.parts.ports import free_port
from tests.parts.root import ROOT

AT_ONCE = 1000
CONVERSATIONS = 20
START_SECONDS = 30.0


class ChatqSide:
    """An installation: an emptied Redis, a new database with its tables, and the processes that are started."""

    def __init__(self, stage: Stage, redis_url: str, database_url: str, **settings: str) -> None:
        """Set the database up; ``settings`` are further variables of the environment."""
        directory = stage.directory("c")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "CHATQ_DATA_DIR": str(directory / "data"),
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            **settings,
        }
        empty(redis_url)
        set_up_tables(database_url)
        self.services = build(load(environ=self.environment, directory=directory))
        self.command = Chatq(directory, self.environment)
        check(self.services)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Running]:
        """Run ``chatq worker`` with ``arguments``."""
        running = self.command.start("worker", *arguments)
        try:
            yield running
        finally:
            running.close()

    @contextmanager
    def api(self) -> Iterator[str]:
        """Run ``chatq api`` and yield its URL once it is ready."""
        with self.serving() as (url, _):
            yield url

    @contextmanager
    def serving(self) -> Iterator[tuple[str, Running]]:
        """Run ``chatq api`` and yield its URL, once it is ready, and the process."""
        port = free_port()
        running = self.command.start("api", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_ready(f"{url}/readyz", running)
            yield url, running
        finally:
            running.close()

    def fill(self, messages: int, conversations: int = CONVERSATIONS) -> None:
        """Enqueue so many short messages, of the conversations in turn."""
        edge, lanes = self.services.edge(), self.services.settings.lanes
        jobs = (prepare(job, lanes) for job in made_up(messages, conversations))
        batch = []
        for job in jobs:
            batch.append(job)
            if len(batch) == AT_ONCE:
                _submit(edge.submit_many(batch))
                batch.clear()
        _submit(edge.submit_many(batch))

    def backlog(self) -> Backlog:
        """Return the jobs of all lanes that are not ended."""
        return lanes_backlog(self.services.redis, self.services.settings.lanes)

    def check_stored(self, messages: int) -> None:
        """Check that exactly so many messages, each with its event, are in the database."""
        with self.services.engine.connect() as connection:
            for table in ("messages", "events"):
                found = connection.execute(sqlalchemy.text(f"SELECT count(*) FROM {table}")).scalar_one()
                if found != messages:
                    raise RuntimeError(f"{found} rows in {table}, not {messages}")

    def close(self) -> None:
        """End all processes and connections."""
        self.command.close()
        self.services.engine.dispose()
        self.services.redis.close()


@contextmanager
def installation(stage: Stage, redis_url: str, database_url: str, **settings: str) -> Iterator[ChatqSide]:
    """Yield an installation, and end it."""
    chatq = ChatqSide(stage, redis_url, database_url, **settings)
    try:
        yield chatq
    finally:
        chatq.close()


def made_up(messages: int, conversations: int) -> Iterator[SendMessage]:
    """Yield short messages, of the conversations in turn: the same as the guide's ``fill.js``."""
    for number in range(messages):
        data = MessageData(sender_id="alice", content=f"hello {number}")
        yield SendMessage(conversation_id=f"c{number % conversations}", message_data=data)


def lanes_backlog(client: redis.Redis, lanes: int) -> Backlog:
    """Return the jobs of all lanes that are not ended."""
    waiting = [keys.queue(keys.lane_name(lane)) for lane in range(lanes)]
    return Backlog(client, [*waiting, *map(keys.claims, range(lanes))])


def is_alive(running: Running) -> bool:
    """Tell whether a process runs."""
    return running.process.poll() is None


def _submit(outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, ChatqError):
            raise outcome


def _wait_until_ready(url: str, running: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(url, timeout=1):  # noqa: S310  # our own process
                return
        except OSError:
            if not is_alive(running) or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer:\n{running.output}") from None
            time.sleep(0.05)
