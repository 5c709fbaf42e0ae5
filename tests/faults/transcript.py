"""What a conversation must have become, by the rules of the contract, from what was accepted in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Transcript:
    """A conversation: what must be in it after all that was accepted so far.

    Its methods take what was accepted, in that order; what has no effect makes no event.
    """

    conversation: str
    events: list[Expected] = field(default_factory=list)
    messages: dict[str, Said] = field(default_factory=dict)
    members: dict[str, Marks] = field(default_factory=dict)

    def sent(self, message_id: str, job_id: str, sender: str, client_id: str, content: str) -> None:
        """A message was accepted for the first time."""
        assert message_id not in self.messages
        self.events.append(Expected("newMessage", message_id, job_id, content))
        self.messages[message_id] = Said(message_id, len(self.events), sender, client_id, [content])
        self.members.setdefault(sender, Marks())

    def edited(self, message_id: str, job_id: str | None, content: str) -> None:
        """An edit was accepted."""
        message = self.messages[message_id]
        if not message.deleted and message.contents[-1] != content:
            message.contents.append(content)
            self.events.append(Expected("messageEdited", message_id, job_id, content))

    def deleted(self, message_id: str, job_id: str | None) -> None:
        """A deletion was accepted."""
        message = self.messages[message_id]
        if not message.deleted:
            message.contents.append(None)
            self.events.append(Expected("messageDeleted", message_id, job_id))

    def marked(self, message_id: str, job_id: str | None, status: str, user: str) -> None:
        """It was accepted that ``user`` has everything up to a message."""
        seq = self.messages[message_id].seq
        marks = self.members.get(user, Marks())
        if seq <= (marks.read if status == "read" else marks.delivered):
            return
        marks.delivered = max(marks.delivered, seq)
        if status == "read":
            marks.read = seq
        self.members[user] = marks
        self.events.append(Expected("messageStatus", message_id, job_id, status=status, user=user))

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
