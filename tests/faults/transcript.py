"""What a conversation must have become, by the rules of the contract, from what was accepted in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

RANK = {"sent": 0, "delivered": 1, "read": 2}


@dataclass(slots=True)
class Expected:
    """An event that there must be."""

    type: str
    message_id: str
    job_id: str | None
    """The job that must have made it; None if it is one of several that say the same."""
    content: str | None = None
    """What the message said when it happened."""
    status: str | None = None
    user: str | None = None

    def is_told_by(self, frame: dict[str, Any]) -> bool:
        """Tell whether a frame tells of this mark."""
        told = [frame.get(name) for name in ("type", "messageId", "status", "userId")]
        return told == [self.type, self.message_id, self.status, self.user]


@dataclass(slots=True)
class Said:
    """A message that there must be."""

    id: str
    seq: int
    sender: str
    client_id: str
    contents: list[str | None]
    """What it said, the last one now; None: deleted."""

    @property
    def deleted(self) -> bool:
        """Whether it says nothing any more."""
        return self.contents[-1] is None


@dataclass(slots=True)
class Marks:
    """How far a member must have come."""

    delivered: int = 0
    read: int = 0

    def reach(self, seq: int, status: str | None) -> bool:
        """Tell whether they go as far as a mark."""
        return seq <= (self.read if status == "read" else self.delivered)

    def move(self, seq: int, status: str | None) -> None:
        """Go as far as a mark that they do not reach."""
        self.delivered = max(self.delivered, seq)
        if status == "read":
            self.read = seq


@dataclass(slots=True)
class Transcript:
    """A conversation: what must be in it after all that was accepted so far.

    Its methods take what was accepted, in that order; what has no effect makes no event. Which marks a later one
    covered before they were made only the log of events can tell: :meth:`settle` takes it.
    """

    conversation: str
    accepted: list[Expected] = field(default_factory=list)
    """What makes an event, and every mark."""
    events: list[Expected] = field(default_factory=list)
    messages: dict[str, Said] = field(default_factory=dict)
    members: dict[str, Marks] = field(default_factory=dict)

    def sent(self, message_id: str, job_id: str, sender: str, client_id: str, content: str) -> None:
        """A message was accepted for the first time."""
        assert message_id not in self.messages
        self.accepted.append(Expected("newMessage", message_id, job_id, content))
        self.messages[message_id] = Said(message_id, 0, sender, client_id, [content])

    def edited(self, message_id: str, job_id: str | None, content: str) -> None:
        """An edit was accepted."""
        message = self.messages[message_id]
        if not message.deleted and message.contents[-1] != content:
            message.contents.append(content)
            self.accepted.append(Expected("messageEdited", message_id, job_id, content))

    def deleted(self, message_id: str, job_id: str | None) -> None:
        """A deletion was accepted."""
        message = self.messages[message_id]
        if not message.deleted:
            message.contents.append(None)
            self.accepted.append(Expected("messageDeleted", message_id, job_id))

    def marked(self, message_id: str, job_id: str | None, status: str, user: str) -> None:
        """It was accepted that ``user`` has everything up to a message."""
        self.accepted.append(Expected("messageStatus", message_id, job_id, status=status, user=user))

    def settle(self, log: Sequence[dict[str, Any]]) -> None:
        """Find which marks made an event: the ``log`` holds the payloads of all events, in order.

        A mark without one must have been covered by another of the same user that goes as far.
        """
        self.events, self.members = [], {}
        covered: list[Expected] = []
        for event in self.accepted:
            message = self.messages[event.message_id]
            if event.type == "newMessage":
                message.seq = len(self.events) + 1
                self.members.setdefault(message.sender, Marks())
            elif event.user is not None:
                marks = self.members.get(event.user, Marks())
                if marks.reach(message.seq, event.status):
                    continue
                if not event.is_told_by(log[len(self.events)] if len(self.events) < len(log) else {}):
                    covered.append(event)
                    continue
                marks.move(message.seq, event.status)
                self.members[event.user] = marks
            self.events.append(event)
        for event in covered:
            marks = self.members.get(event.user or "", Marks())
            assert marks.reach(self.messages[event.message_id].seq, event.status), f"no trace of {event}"

    def makers(self, event: Expected) -> set[str | None]:
        """Return the jobs that may have made an event: of equal marks that are made together the last one does."""
        if event.user is None:
            return {event.job_id}
        same = (event.message_id, event.status, event.user)
        return {e.job_id for e in self.accepted if (e.message_id, e.status, e.user) == same}

    def status(self, message: Said) -> str:
        """Return the status that a message must have: the furthest that any member but its sender reached."""
        found = "sent"
        for user, marks in self.members.items():
            if user != message.sender:
                reached = "read" if message.seq <= marks.read else "delivered" if message.seq <= marks.delivered else ""
                found = max(found, reached or found, key=RANK.__getitem__)
        return found

    def last(self) -> Said | None:
        """Return the message that must be the conversation's last one."""
        kept = [message for message in self.messages.values() if not message.deleted]
        return max(kept, key=lambda message: message.seq, default=None)
