"""Clients that come and go while a conversation's lane passes from one worker to another."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from random import Random
from threading import Barrier, BrokenBarrierError, Event

from tests.faults.feeder import feeders
from tests.faults.points import Deed, Point
from tests.faults.reconcile import check_database, wait_until_quiet
from tests.faults.system import System
from tests.faults.task import Task, raise_faults
from tests.parts.client import Client
from tests.parts.waiting import PATIENCE_SECONDS

JOINERS, ROUNDS = 4, 100


class Joiner:
    """Joins a conversation again and again, from its beginning or from where it likes."""

    def __init__(self, port: int, conversation: str, random: Random, enough: Event) -> None:
        self.joins = 0
        self._url = f"ws://127.0.0.1:{port}/ws"
        self._conversation = conversation
        self._random = random
        self._enough = enough

    def run(self) -> None:
        """Join until there is enough: each time all events must come, once, in order."""
        with Client(self._url) as client:
            client.expect("hello")
            while not self._enough.is_set():
                self._join(client)

    def _join(self, client: Client) -> None:
        self.joins += 1
        known = self._random.choice([0, 0, self.joins % 7])
        client.say("join", conversationId=self._conversation, since=known)
        joined = client.expect("joined")
        if not joined["recovered"]:
            assert joined["seq"] < known
            known = joined["seq"]
        past = joined["seq"]
        assert client.seqs(past - known) == list(range(known + 1, past + 1))
        # And for a moment what is new.
        with suppress(TimeoutError):
            for number in range(past + 1, past + self._random.randrange(1, 20)):
                assert client.hear(0.05)["seq"] == number
        client.say("leave", conversationId=self._conversation)
        while client.hear()["type"] != "left":
            pass


def test_clients_join_while_lanes_are_taken_over(system: System) -> None:
    api = system.start_api()
    (room,) = feeders(system, 1)
    enough = Event()
    joiners = [Joiner(api.port, room.conversation, Random(number), enough) for number in range(JOINERS)]
    tasks = [Task(joiner.run) for joiner in joiners]
    # Given clients that join and leave all the time
    worker = system.start_ready_worker()
    for task in tasks:
        task.start()
    try:
        for point in (Point.PUBLISHED, Point.COMMITTED):
            # When a worker sleeps, another takes its lane over, and publishes what was published before
            worker.order(point, Deed.FREEZE)
            with system.asleep():
                room.talk()
            worker.wait_at(point)
            other = system.start_ready_worker()
            room.talk()
            wait_until_quiet(system)
            # And the first one wakes, and publishes it once more
            worker.wake()
            room.talk()
            wait_until_quiet(system)
            worker.kill()
            worker = other
    finally:
        enough.set()
        for task in tasks:
            task.join()
    # Then every join gave every event, once, in order
    raise_faults(tasks)
    assert min(joiner.joins for joiner in joiners) > 10
    check_database(system.engine, [room.transcript])


class Guest:
    """Joins once in each round, at about the time at which something is said, and waits until it has heard it."""

    def __init__(self, client: Client, conversation: str, random: Random, start: Barrier) -> None:
        self._client = client
        self._conversation = conversation
        self._random = random
        self._start = start

    def run(self) -> None:
        """Take part in all rounds; if one fails, the others end as well."""
        try:
            for said in range(1, ROUNDS + 1):
                self._start.wait(2 * PATIENCE_SECONDS)
                self._hear(said)
                self._start.wait(2 * PATIENCE_SECONDS)
        except BaseException:
            self._start.abort()
            raise

    def _hear(self, said: int) -> None:
        # About as long as a message takes.
        time.sleep(self._random.uniform(0, 0.01))
        since = self._random.randrange(said)
        self._client.say("join", conversationId=self._conversation, since=since)
        joined = self._client.expect("joined")
        assert joined["seq"] in (said - 1, said)
        known = since if joined["recovered"] else joined["seq"]
        assert self._client.seqs(said - known) == list(range(known + 1, said + 1))
        self._client.say("leave", conversationId=self._conversation)
        self._client.expect("left")


def test_what_is_said_while_somebody_joins_is_heard(system: System) -> None:
    api = system.start_api()
    system.start_ready_worker()
    (room,) = feeders(system, 1)
    with ExitStack() as stack:
        # Given clients that join at the same time as something is said, and then nothing more
        start = Barrier(JOINERS + 1)
        guests = []
        for number in range(JOINERS):
            client = stack.enter_context(Client(f"ws://127.0.0.1:{api.port}/ws"))
            client.expect("hello")
            guests.append(Guest(client, room.conversation, Random(number), start))
        tasks = [Task(guest.run) for guest in guests]
        for task in tasks:
            task.start()
        # Then they hear it
        with suppress(BrokenBarrierError):
            for said in range(ROUNDS):
                start.wait(2 * PATIENCE_SECONDS)
                room.send(f"said {said}")
                start.wait(2 * PATIENCE_SECONDS)
        for task in tasks:
            task.join()
        raise_faults(tasks)
