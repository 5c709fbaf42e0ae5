"""Messages that the database objects to, now and then or always, while workers die."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from threading import Event
from typing import Any

import redis
from sqlalchemy import Engine, select, text

from chatq.domain.jobs import DeleteMessage, EditMessage, MessageJob, SendMessage, UpdateMessageStatus
from chatq.domain.messages import MessageData
from chatq.queue import keys
from chatq.queue.codec import prepare
from chatq.queue.connection import connect
from chatq.queue.retry import MAX_ATTEMPTS
from chatq.store.engine import reading, writing
from chatq.store.tables import events, failures, messages
from tests.faults.conftest import SEED
from tests.faults.points import Deed, Point
from tests.faults.reconcile import left_in_queue
from tests.faults.system import System
from tests.faults.task import Task, raise_faults
from tests.parts.lane import services
from tests.parts.waiting import until

TELLING_SECONDS, KILLING_SECONDS = 5.0, 8.0
DOOMED = 5
POINTS = (Point.CLAIMED, Point.APPLIED, Point.COMMITTED, Point.PUBLISHED, Point.FINISHED)
KINDS = ("plain", "plain", "plain", "fickle")

# By its id: the content of a message that is edited in the same batch is another one by then.
SQLITE = """
CREATE TRIGGER fickle BEFORE INSERT ON messages
WHEN NEW.client_message_id LIKE 'doomed%' OR (NEW.client_message_id LIKE 'fickle%' AND abs(random()) % 2)
BEGIN SELECT RAISE(ABORT, 'not this one'); END
"""
POSTGRES = """
CREATE FUNCTION fickle() RETURNS trigger AS $$ BEGIN
    IF NEW.client_message_id LIKE 'doomed%' OR (NEW.client_message_id LIKE 'fickle%' AND random() < 0.5) THEN
        RAISE EXCEPTION 'not this one';
    END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER fickle BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fickle()
"""


@dataclass(slots=True)
class Story:
    """A message and the jobs about it, in the order in which they were accepted."""

    content: str
    message_id: str
    jobs: list[tuple[str, str]] = field(default_factory=list)
    """Type of event and job id of each."""


class Teller:
    """Tells stories in one conversation: each a message with some jobs about it, close behind."""

    def __init__(self, system: System, enough: Event) -> None:
        self.stories: list[Story] = []
        self._lanes = system.lanes
        self._edge = services(system.valkey.url, system.lanes, system.database.url).edge()
        self._enough = enough

    def doom(self, client: redis.Redis) -> None:
        """Tell stories that will fail, and that have few attempts left, for all attempts would take long."""
        for number in range(DOOMED):
            self._tell(f"doomed {number}")
            attempts = MAX_ATTEMPTS - 1 - number % 2
            client.hset(keys.job(self.stories[-1].message_id), "number_of_retries", str(attempts))

    def run(self) -> None:
        """Tell stories until there are enough."""
        random = Random(0)
        while not self._enough.wait(0.02):
            self._tell(f"{random.choice(KINDS)} {len(self.stories)}")

    def _tell(self, content: str) -> None:
        data = MessageData(sender_id="alice", content=content, client_message_id=content.replace(" ", "-"))
        story = Story(content, "")
        self.stories.append(story)
        story.message_id = self._submit(story, "newMessage", SendMessage(conversation_id="room", message_data=data))
        if content.startswith("plain"):
            return
        # A reader of its own, so that every mark has an effect.
        id_, user = story.message_id, f"reader-{len(self.stories)}"
        self._submit(story, "messageEdited", EditMessage(message_id=id_, content="once"))
        self._submit(story, "messageEdited", EditMessage(message_id=id_, content="twice"))
        self._submit(story, "messageStatus", UpdateMessageStatus(message_id=id_, status="read", user_id=user))
        self._submit(story, "messageDeleted", DeleteMessage(message_id=id_))

    def _submit(self, story: Story, event: str, job: MessageJob) -> str:
        accepted = self._edge.submit(prepare(job, self._lanes))
        story.jobs.append((event, accepted.job_id))
        return accepted.message_id


def kill_workers(system: System, random: Random, enough: Event) -> None:
    """Kill one worker after the other, wherever it is, while others live."""
    while not enough.wait(0.8):
        worker = random.choice(system.workers)
        worker.order(random.choice(POINTS), Deed.KILL, passes=random.randrange(3))


def test_what_the_database_objects_to_is_retried_or_fails_with_all_that_is_about_it(system: System, seed: int) -> None:
    print(f"{SEED}={seed}")
    # Given a database that objects to some messages, to others always
    object_to_some(system.engine)
    teller_ends, killer_ends = Event(), Event()
    teller = Teller(system, teller_ends)
    with closing(connect(system.valkey.url)) as client:
        teller.doom(client)
    telling = Task(teller.run)
    killing = Task(lambda: kill_workers(system, Random(seed), killer_ends))
    # When workers die while they do what is accepted
    for _ in range(3):
        system.start_ready_worker()
    system.keep_alive()
    try:
        for task in (telling, killing):
            task.start()
        teller_ends.wait(TELLING_SECONDS)
        teller_ends.set()
        telling.join()
        killer_ends.wait(KILLING_SECONDS - TELLING_SECONDS)
        killer_ends.set()
        with closing(connect(system.valkey.url)) as client:
            until(lambda: not left_but_failures(client, system.lanes), 100, "all done or failed")
    finally:
        for enough in (teller_ends, killer_ends):
            enough.set()
        for task in (telling, killing):
            task.join()
    raise_faults([telling, killing])
    # Then each message is there once with all that was said about it, in order, or failed with all of it
    check_stories(system.engine, teller.stories)


def object_to_some(engine: Engine) -> None:
    """Let the database object to each message whose client id says so."""
    with writing(engine) as connection:
        connection.execute(text(POSTGRES if engine.dialect.name == "postgresql" else SQLITE))


def left_but_failures(client: redis.Redis, lanes: int) -> dict[str, Any]:
    """Return what is left in the queue but jobs that failed for good."""
    left = left_in_queue(client, lanes)
    return {
        name: found for name, found in left.items() if not name.startswith("FailedJobRegistry") and name != "job hashes"
    }


def check_stories(engine: Engine, stories: list[Story]) -> None:
    """Compare the database with what was told."""
    with reading(engine) as connection:
        log = connection.execute(select(events).order_by(events.c.seq)).all()
        stored = set(connection.execute(select(messages.c.id)).scalars())
        failed = set(connection.execute(select(failures.c.job_id)).scalars())
    assert [row.seq for row in log] == list(range(1, len(log) + 1))
    assert len({row.job_id for row in log}) == len(log)
    fates: dict[str, list[str]] = {"stored": [], "failed": []}
    for story in stories:
        made = [(row.type, row.job_id) for row in log if row.message_id == story.message_id]
        if story.message_id in stored:
            fates["stored"].append(story.content)
            assert made == story.jobs, story
            assert not failed & {job_id for _, job_id in story.jobs}, story
        else:
            fates["failed"].append(story.content)
            assert made == [], story
            assert failed >= {job_id for _, job_id in story.jobs}, story
    assert sum(content.startswith("doomed") for content in fates["failed"]) == DOOMED
    assert not any(content.startswith("plain") for content in fates["failed"])
    # And nobody had to wait for those that were tried again
    plain = [story.message_id for story in stories if story.content.startswith("plain")]
    assert [row.message_id for row in log if row.type == "newMessage" and row.message_id in set(plain)] == plain
