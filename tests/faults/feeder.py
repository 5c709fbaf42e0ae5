"""Jobs about one conversation, accepted as an API accepts them, and what must come of them."""

from __future__ import annotations

from itertools import count
from typing import Literal

from chatq.domain.ids import lane_of
from chatq.domain.jobs import DeleteMessage, EditMessage, MessageJob, SendMessage, UpdateMessageStatus
from chatq.domain.messages import MessageData
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.edge import Accepted, Edge
from tests.faults.system import System
from tests.faults.transcript import Transcript
from tests.parts.lane import services


class Feeder:
    """Feeds one conversation, one job after the other."""

    def __init__(self, system: System, conversation: str, edge: Edge | None = None) -> None:
        self.conversation = conversation
        self.transcript = Transcript(conversation)
        self._lanes = system.lanes
        self._edge = edge or services(system.valkey.url, system.lanes, system.database.url).edge()
        self._jobs: list[QueuedJob] = []

    def send(self, content: str, sender: str = "alice") -> str:
        """Send a message and return its id."""
        client_id = f"{self.conversation}-{len(self._jobs)}"
        data = MessageData(sender_id=sender, content=content, client_message_id=client_id)
        done = self._submit(SendMessage(conversation_id=self.conversation, message_data=data))
        self.transcript.sent(done.message_id, done.job_id, sender, client_id, content)
        return done.message_id

    def edit(self, message_id: str, content: str) -> None:
        """Give a message other content."""
        job = EditMessage(message_id=message_id, content=content, conversation_id=self.conversation)
        done = self._submit(job, f"{self.conversation}-{len(self._jobs)}")
        self.transcript.edited(message_id, done.job_id, content)

    def delete(self, message_id: str) -> None:
        """Delete a message."""
        done = self._submit(DeleteMessage(message_id=message_id, conversation_id=self.conversation))
        self.transcript.deleted(message_id, done.job_id)

    def mark(self, message_id: str, status: Literal["delivered", "read"], user: str) -> None:
        """Let a user have everything up to a message."""
        job = UpdateMessageStatus(message_id=message_id, status=status, user_id=user, conversation_id=self.conversation)
        done = self._submit(job)
        self.transcript.marked(message_id, done.job_id, status, user)

    def talk(self) -> None:
        """Do a little of everything, much of it without effect, unless it is done once more and too late."""
        first, second = self.send("first"), self.send("second", "bob")
        self.edit(first, "first")
        self.edit(first, "other")
        self.edit(first, "other")
        self.edit(first, "first")
        self.mark(second, "read", "carol")
        self.mark(first, "read", "carol")
        self.mark(first, "delivered", "bob")
        self.delete(second)
        self.edit(second, "too late")
        self.delete(second)
        self.send("third", "carol")

    def repeat(self) -> None:
        """Submit everything once more, as a client does that got no answer."""
        for job in self._jobs:
            self._edge.submit(job)

    def _submit(self, job: MessageJob, key: str | None = None) -> Accepted:
        queued = prepare(job, self._lanes, client_id=key)
        self._jobs.append(queued)
        return self._edge.submit(queued)


def conversation_in(lane: int, lanes: int) -> str:
    """Return the name of a conversation whose jobs lie in ``lane``."""
    names = (f"room-{number}" for number in count())
    return next(name for name in names if lane_of(name, lanes) == lane)


def feeders(system: System, number: int) -> list[Feeder]:
    """Return feeders of ``number`` conversations, each in a lane of its own."""
    edge = services(system.valkey.url, system.lanes, system.database.url).edge()
    return [Feeder(system, conversation_in(lane, system.lanes), edge) for lane in range(number)]
