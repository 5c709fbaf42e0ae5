"""Clients that come and go while a conversation's lane passes from one worker to another."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from threading import Event

from tests.faults.feeder import feeders
from tests.faults.points import Deed, Point
from tests.faults.reconcile import check_database, wait_until_quiet
from tests.faults.system import System
from tests.faults.task import Task, raise_faults
from tests.parts.client import Client

JOINERS = 4


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
        # As far as the past goes, and for a moment what is new.
        with suppress(TimeoutError):
            for number in range(known + 1, joined["seq"] + self._random.randrange(1, 20)):
                assert client.hear(timeout=10 if number <= joined["seq"] else 0.05)["seq"] == number
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
            room.talk()
            worker.wait_at(point)
            other = system.start_ready_worker()
            room.talk()
            wait_until_quiet(system, 20)
            # And the first one wakes, and publishes it once more
            worker.wake()
            room.talk()
            wait_until_quiet(system, 20)
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
