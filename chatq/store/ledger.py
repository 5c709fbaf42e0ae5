"""The state that a batch of jobs works on, in memory: what it found, and what is to be written.

A :class:`Ledger` is filled with the rows that a batch touches; :mod:`chatq.store.effects` applies the jobs to it, one
after the other; then it holds the rows to write. Event numbers are given as events are recorded, after duplicates have
fallen out, so that none is ever lost.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from chatq.domain.events import (
    Event,
    MessageEdited,
    NewMessage,
    event_type,
    from_payload,
    to_payload,
)
from chatq.domain.messages import Message, Status
from chatq.domain.wire import encode
from chatq.store.work import Before, Conversation, Outcome, Published, Row, Stored, Watermarks, Work


class Ledger:
    """Fill the dictionaries, apply each job in order, and save what is new or changed."""

    def __init__(self, now: str, before: Before) -> None:
        self.now = now
        self.conversations: dict[str, Conversation] = {}
        self.unborn: set[str] = set()
        """Conversations that were made for this batch, as long as none of its messages has called for them."""
        self.messages: dict[str, Stored] = {}
        self.members: dict[tuple[str, str], Watermarks] = {}
        self.before = before
        self.superseded: AbstractSet[str] = frozenset()
        """Ids of the jobs that have no effect, since a later one of the batch covers them."""

        self.new_messages: dict[str, Row] = {}
        self.new_events: dict[tuple[str, int], Row] = {}
        self.new_members: dict[tuple[str, str], Row] = {}
        self.changed_messages: dict[str, Row] = {}
        self.changed_events: dict[tuple[str, int], Row] = {}
        self.changed_members: dict[tuple[str, str], Row] = {}
        self.changed_conversations: set[str] = set()
        self.read_up_to: list[Row] = []

    def find_outcome(self, work: Work) -> Outcome | None:
        """Return what became of a job when its batch was applied before, or None if it was not."""
        published = self.before.applied.get(work.job_id)
        if published is not None:
            return Outcome((published,))
        if (reason := self.before.failed.get(work.job_id)) is not None:
            return Outcome(failure=reason)
        if work.job_id in self.before.settled:
            return Outcome()
        return None

    def add(self, message: Message) -> Stored:
        """Take note of a new message, which is its conversation's last one from now on."""
        self.messages[message.id] = stored = Stored(message, new=True)
        self.new_messages[message.id] = _message_row(message)
        conversation = self.conversations[message.conversation_id]
        conversation.last_message_id = message.id
        conversation.last_message = message.content
        conversation.last_message_at = message.persisted_at
        conversation.recompute = False
        return stored

    def record(self, work: Work, stored: Stored, event: Event) -> Outcome:
        """Take note of the event that a job makes, which is its conversation's next."""
        conversation = self.conversations[event.conversation_id]
        conversation.last_seq = event.seq
        self.changed_conversations.add(conversation.id)
        payload = to_payload(event)
        row = {
            "conversation_id": event.conversation_id,
            "seq": event.seq,
            "type": event_type(event),
            "message_id": work.message_id,
            "job_id": work.job_id,
            "payload": payload,
            "created_at": self.now,
        }
        self.new_events[event.conversation_id, event.seq] = row
        if isinstance(event, NewMessage | MessageEdited):
            stored.events.append(row)
        return Outcome((Published(row),))

    def rewrite(self, stored: Stored) -> None:
        """Let everything that tells of this message tell its content of now."""
        message = stored.message
        for row in stored.events:
            event = from_payload(row["payload"])
            if isinstance(event, NewMessage | MessageEdited):
                event.message.content = message.content
                event.message.metadata = message.metadata
                event.message.deleted_at = message.deleted_at
                row["payload"] = to_payload(event)
            key = (row["conversation_id"], row["seq"])
            if key not in self.new_events:
                self.changed_events[key] = row
        if stored.new:
            self.new_messages[message.id] = _message_row(message)
        else:
            self.changed_messages[message.id] = {
                "id": message.id,
                "content": message.content,
                "metadata": _metadata(message),
                "edited_at": message.edited_at,
                "deleted_at": message.deleted_at,
            }

    def raise_status(self, conversation_id: str, user: str, status: Status, above: int, up_to: int) -> None:
        """Raise the status of others' messages with these numbers to what a user has reached."""
        self.read_up_to.append(
            {
                "conversation_id": conversation_id,
                "above": above,
                "up_to": up_to,
                "not_by": user,
                "status": str(status),
                "status_again": str(status),
            }
        )
        for stored in self.messages.values():
            message = stored.message
            if (
                message.conversation_id == conversation_id
                and above < message.seq <= up_to
                and message.sender_id != user
                and Status(message.status).rank < status.rank
            ):
                message.status = status


def _metadata(message: Message) -> str | None:
    return None if message.metadata is None else encode(message.metadata).decode()


def _message_row(message: Message) -> Row:
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "seq": message.seq,
        "sender_id": message.sender_id,
        "client_message_id": message.client_message_id,
        "content": message.content,
        "metadata": _metadata(message),
        "status": message.status,
        "created_at": message.created_at,
        "persisted_at": message.persisted_at,
        "edited_at": message.edited_at,
        "deleted_at": message.deleted_at,
    }
