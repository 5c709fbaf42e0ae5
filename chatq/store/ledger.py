"""What a batch of jobs does to its conversations: the rules, in memory.

A :class:`Ledger` is filled with the rows that a batch touches, applies the jobs one after the other, and
then holds the rows to write. Numbers are given here, after duplicates have fallen out, so that none is ever
lost.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from chatq.domain.clock import normal
from chatq.domain.events import (
    Event,
    MessageDeleted,
    MessageEdited,
    MessageStatus,
    NewMessage,
    event_type,
    from_payload,
    to_payload,
)
from chatq.domain.jobs import DeleteMessage, EditMessage, SendMessage, UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER, Message, MessageData, Status
from chatq.domain.wire import encode
from chatq.store.work import EXPIRED, Before, Conversation, Member, Outcome, Published, Row, Stored, Work


class Ledger:
    """The state that a batch works on. Fill the dictionaries, call :meth:`apply` for each job in order."""

    def __init__(self, now: str, before: Before) -> None:
        self.now = now
        self.conversations: dict[str, Conversation] = {}
        self.unborn: set[str] = set()
        """Conversations that were made for this batch, as long as none of its messages has called for them."""
        self.messages: dict[str, Stored] = {}
        self.members: dict[tuple[str, str], Member] = {}
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

    def apply(self, work: Work) -> Outcome:
        """Apply one job and say what became of it."""
        if (outcome := self._first_time(work)) is not None:
            return outcome
        if isinstance(work.job, SendMessage):
            return self._send(work, work.job)
        if work.expired:
            return Outcome(failure=EXPIRED)
        stored = self.messages.get(work.message_id)
        if stored is None:
            return Outcome(missing=True)
        if isinstance(work.job, EditMessage):
            return self._edit(work, stored, work.job.content)
        if isinstance(work.job, DeleteMessage):
            return self._delete(work, stored)
        if work.job_id in self.superseded:
            return Outcome()
        return self._update_status(work, stored, work.job)

    def _first_time(self, work: Work) -> Outcome | None:
        """Return what became of a job when its batch was applied before, or None if it was not."""
        published = self.before.applied.get(work.job_id)
        if published is not None:
            return Outcome((published,))
        if (reason := self.before.failed.get(work.job_id)) is not None:
            return Outcome(failure=reason)
        if work.job_id in self.before.settled:
            return Outcome()
        return None

    def _send(self, work: Work, job: SendMessage) -> Outcome:
        data = job.message_data
        stored = self.messages.get(work.message_id)
        if stored is not None:
            return _repeat(stored, job)
        if work.expired:
            return Outcome(failure=EXPIRED)
        if job.joins is not False:
            self.unborn.discard(job.conversation_id)
        conversation = self.conversations.get(job.conversation_id)
        if conversation is None or conversation.id in self.unborn:
            return Outcome(failure=f"There is no conversation {job.conversation_id}.")
        sender = data.sender_id or DEVELOPMENT_USER
        message = Message(
            id=work.message_id,
            conversation_id=job.conversation_id,
            seq=conversation.last_seq + 1,
            sender_id=sender,
            client_message_id=data.client_message_id,
            content=data.content,
            metadata=data.metadata,
            status=Status.SENT,
            created_at=work.created_at if data.created_at is None else normal(data.created_at),
            persisted_at=self.now,
            edited_at=None,
            deleted_at=None,
        )
        self.messages[message.id] = new = Stored(message, new=True)
        self.new_messages[message.id] = _message_row(message)
        conversation.last_message_id = message.id
        conversation.last_message = message.content
        conversation.last_message_at = message.persisted_at
        conversation.recompute = False
        member = (job.conversation_id, sender)
        # A mark that the same batch moves makes its user a member as well.
        if job.joins is not False and member not in self.members and member not in self.new_members:
            self.new_members[member] = {
                "conversation_id": job.conversation_id,
                "user_id": sender,
                "joined_at": self.now,
            }
        return self._record(
            work, new, NewMessage(conversation_id=job.conversation_id, seq=message.seq, message=message)
        )

    def _edit(self, work: Work, stored: Stored, content: str) -> Outcome:
        message = stored.message
        if message.deleted_at is not None or message.content == content:
            return Outcome()
        message.content = content
        message.edited_at = self.now
        self._rewrite(stored)
        conversation = self.conversations[message.conversation_id]
        if conversation.last_message_id == message.id:
            conversation.last_message = content
        event = MessageEdited(conversation_id=message.conversation_id, seq=conversation.last_seq + 1, message=message)
        return self._record(work, stored, event)

    def _delete(self, work: Work, stored: Stored) -> Outcome:
        message = stored.message
        if message.deleted_at is not None:
            return Outcome()
        message.content = None
        message.metadata = None
        message.deleted_at = self.now
        self._rewrite(stored)
        conversation = self.conversations[message.conversation_id]
        if conversation.last_message_id == message.id:
            conversation.recompute = True
        event = MessageDeleted(
            conversation_id=message.conversation_id, seq=conversation.last_seq + 1, message_id=message.id
        )
        return self._record(work, stored, event)

    def _update_status(self, work: Work, stored: Stored, job: UpdateMessageStatus) -> Outcome:
        message = stored.message
        user = job.user_id or DEVELOPMENT_USER
        key = (message.conversation_id, user)
        if job.joins is False and key not in self.members and key not in self.new_members:
            return Outcome()
        member = self.members.setdefault(key, Member(0, 0))
        mark = member.read_seq if job.status == "read" else member.delivered_seq
        if message.seq <= mark:
            return Outcome()
        member.delivered_seq = max(member.delivered_seq, message.seq)
        if job.status == "read":
            member.read_seq = message.seq
        self.new_members.pop(key, None)
        self.changed_members[key] = {
            "conversation_id": message.conversation_id,
            "user_id": user,
            "delivered_seq": member.delivered_seq,
            "read_seq": member.read_seq,
            "joined_at": self.now,
        }
        self._raise_status(message.conversation_id, user, Status(job.status), mark, message.seq)
        event = MessageStatus(
            conversation_id=message.conversation_id,
            seq=self.conversations[message.conversation_id].last_seq + 1,
            message_id=message.id,
            status=job.status,
            user_id=user,
        )
        return self._record(work, stored, event)

    def _raise_status(self, conversation_id: str, user: str, status: Status, above: int, up_to: int) -> None:
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

    def _record(self, work: Work, stored: Stored, event: Event) -> Outcome:
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

    def _rewrite(self, stored: Stored) -> None:
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


def _repeat(stored: Stored, job: SendMessage) -> Outcome:
    message = stored.message
    if message.deleted_at is None and message.edited_at is None and not is_same(message, job.message_data):
        return Outcome(failure="idempotency-mismatch: this client id was used before for other content.")
    rows = [row for row in stored.events if row["type"] == "newMessage"]
    return Outcome(tuple(map(Published, rows)))


def is_same(message: Message, data: MessageData) -> bool:
    """Tell whether a stored message is the one that ``data`` describe."""
    return message.content == data.content and (message.metadata or None) == (data.metadata or None)


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
