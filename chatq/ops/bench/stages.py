"""What is measured, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import redis
from gevent import sleep
from sqlalchemy import Engine

from chatq.domain.jobs import SendMessage
from chatq.domain.messages import MessageData
from chatq.errors import ChatqError
from chatq.ops.bench.http import HttpClient
from chatq.ops.bench.listener import Listener
from chatq.ops.bench.load import PATIENCE_SECONDS, Check, Load
from chatq.ops.bench.names import Names
from chatq.ops.bench.report import Section
from chatq.ops.bench.rows import count_events
from chatq.ops.bench.size import CONNECTIONS, PER_SECOND, SOCKETS, Size
from chatq.ops.bench.together import together
from chatq.queue import keys
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.connection import translated
from chatq.queue.edge import Edge

CROWD_POSTERS = 8
"""Messages of the fan-out that are under way at once: enough to keep everybody busy, too few to queue up."""
ENQUEUED_AT_ONCE = 1000
_LOOK_SECONDS = 0.005


class Stages:
    """The stages of one run, to be called in their order."""

    def __init__(
        self,
        client: redis.Redis,
        engine: Engine,
        lanes: int,
        names: Names,
        size: Size,
        *,
        port: int,
        token: str | None,
        check: Check,
    ) -> None:
        """Take what the run uses.

        ``port`` is its API's, ``token`` what that may ask for, ``check`` tells whether the run's processes live.
        """
        self._redis = client
        self._engine = engine
        self._lanes = lanes
        self._names = names
        self._size = size
        self._port = port
        self._token = token
        self._check = check
        self._accepted = 0
        self._ended_before = self._ended()

    def accept(self) -> Section:
        """Post while the run has no worker."""
        with self._clients(CONNECTIONS) as clients:
            for messages in (self._size.warm, self._size.messages):
                load = self._load(messages, self._names.conversations, hearers=0)
                load.post(clients)
        return load.section()

    def enqueue(self, edge: Edge) -> Section:
        """Enqueue more, as a script does: without HTTP, many jobs at a time."""
        total, took = self._size.queued, 0.0
        for first in range(0, total, ENQUEUED_AT_ONCE):
            jobs = [self._job(number) for number in range(first, min(first + ENQUEUED_AT_ONCE, total))]
            began = time.perf_counter()
            outcomes = edge.submit_many(jobs)
            took += time.perf_counter() - began
            for outcome in outcomes:
                if isinstance(outcome, ChatqError):
                    raise outcome
            # Lets an interrupt in.
            sleep(0)
        self._accepted += total
        return Section(messages=total, seconds=round(took, 4), rate=round(total / took, 1), stages={})

    def drain(self, start: Callable[[], None]) -> Section | None:
        """Call ``start``, which starts the worker, and time it from the first job that ends to the last.

        Returns None if other workers have left it nothing to do.
        """
        ended = self._ended() - self._ended_before
        start()
        if ended >= self._accepted:
            return None
        began, first = time.perf_counter(), ended
        moved = False
        news_at = looked_at = began
        while ended < self._accepted:
            sleep(_LOOK_SECONDS)
            self._check()
            count, now = self._ended() - self._ended_before, time.perf_counter()
            if count > ended:
                if not moved:
                    # How long the worker takes to start is not counted; nor is its first batch, unless it is all.
                    began, first = (now, count) if count < self._accepted else (looked_at, ended)
                    moved = True
                ended, news_at = count, now
            elif now - news_at > PATIENCE_SECONDS:
                left = self._accepted - ended
                raise ChatqError(f"{left} jobs wait, and none ended for {PATIENCE_SECONDS:.0f} seconds.")
            looked_at = now
        took = news_at - began
        self._check_stored()
        return Section(messages=ended - first, seconds=round(took, 4), rate=round((ended - first) / took, 1), stages={})

    def end_to_end(self, *, per_second: float | None = None) -> Section:
        """Post at the given rate, by default as fast as possible, while a websocket listens to each conversation."""
        names = self._names.conversations
        messages = self._size.messages if per_second is None else self._size.paced
        warm = self._size.warm if per_second is None else min(PER_SECOND, messages)
        with self._clients(CONNECTIONS) as clients, self._listeners(names) as listeners:
            for count in (warm, messages):
                load = self._load(count, names, hearers=1)
                beside = [partial(listener.listen, load.hear) for listener in listeners]
                together([partial(load.post, clients, per_second=per_second), load.wait_until_heard], beside)
        self._check_stored()
        return load.section()

    def fan_out(self) -> Section:
        """Post to one conversation to which many websockets listen."""
        crowd = [self._names.crowd]
        with self._clients(CROWD_POSTERS) as clients, self._listeners(crowd * SOCKETS) as listeners:
            for messages in (CROWD_POSTERS, self._size.fanned):
                load = self._load(messages, crowd, hearers=SOCKETS)
                beside = [partial(listener.listen, load.hear_only) for listener in listeners]
                together([partial(load.post, clients, wait=True)], beside)
        return load.section()

    def _job(self, number: int) -> QueuedJob:
        names = self._names.conversations
        data = MessageData(sender_id=self._names.sender, content=f"hello {number}")
        return prepare(SendMessage(conversation_id=names[number % len(names)], message_data=data), self._lanes)

    def _load(self, messages: int, names: Sequence[str], *, hearers: int) -> Load:
        if names is self._names.conversations:
            self._accepted += messages
        return Load(self._names.sender, names, messages, hearers=hearers, check=self._check)

    def _check_stored(self) -> None:
        """Make sure that the database has what was accepted, no more and no less."""
        stored = count_events(self._engine, self._names.conversations)
        if stored != self._accepted:
            raise ChatqError(f"{self._accepted} messages were accepted, but the database has {stored} of them.")

    def _ended(self) -> int:
        with translated():
            return int(self._redis.get(keys.ENDED) or 0)

    @contextmanager
    def _clients(self, count: int) -> Iterator[list[HttpClient]]:
        with ExitStack() as stack:
            yield [stack.enter_context(HttpClient(self._port, self._token)) for _ in range(count)]

    @contextmanager
    def _listeners(self, names: Sequence[str]) -> Iterator[list[Listener]]:
        with ExitStack() as stack:
            listeners = []
            for name in names:
                listeners.append(Listener(self._port, name, self._token))
                stack.callback(listeners[-1].close)
            yield listeners
