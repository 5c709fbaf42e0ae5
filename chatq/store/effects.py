"""What each kind of job does to its conversation: the rules, in memory."""

from __future__ import annotations

from chatq.domain.clock import normal
from chatq.domain.events import MessageDeleted, MessageEdited, MessageStatus, NewMessage
from chatq.domain.jobs import DeleteMessage, EditMessage, SendMessage, UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER, Message, Status, is_same
from chatq.store.ledger import Ledger
from chatq.store.work import EXPIRED, Outcome, Published, Stored, Watermarks, Work


def apply(ledger: Ledger, work: Work) -> Outcome:
    """Apply one job and say what became of it."""
    if (outcome := ledger.find_outcome(work)) is not None:
        return outcome
    if isinstance(work.job, SendMessage):
        return _send(ledger, work, work.job)
    if work.expired:
        return Outcome(failure=EXPIRED)
    stored = ledger.messages.get(work.message_id)
    if stored is None:
        return Outcome(missing=True)
    if isinstance(work.job, EditMessage):
        return _edit(ledger, work, stored, work.job.content)
    if isinstance(work.job, DeleteMessage):
        return _delete(ledger, work, stored)
    if work.job_id in ledger.superseded:
        return Outcome()
    return _update_status(ledger, work, stored, work.job)


def _send(ledger: Ledger, work: Work, job: SendMessage) -> Outcome:
    data = job.message_data
    stored = ledger.messages.get(work.message_id)
    if stored is not None:
        return _repeat(stored, job)
    if work.expired:
        return Outcome(failure=EXPIRED)
    if job.joins is not False:
        ledger.unborn.discard(job.conversation_id)
    conversation = ledger.conversations.get(job.conversation_id)
    if conversation is None or conversation.id in ledger.unborn:
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
        persisted_at=ledger.now,
        edited_at=None,
        deleted_at=None,
    )
    new = ledger.add(message)
    member = (job.conversation_id, sender)
    # A mark that the same batch moves makes its user a member as well.
    if job.joins is not False and member not in ledger.members and member not in ledger.new_members:
        ledger.new_members[member] = {
            "conversation_id": job.conversation_id,
            "user_id": sender,
            "joined_at": ledger.now,
        }
    return ledger.record(work, new, NewMessage(conversation_id=job.conversation_id, seq=message.seq, message=message))


def _repeat(stored: Stored, job: SendMessage) -> Outcome:
    message = stored.message
    if message.deleted_at is None and message.edited_at is None and not is_same(message, job.message_data):
        return Outcome(failure="idempotency-mismatch: this client id was used before for other content.")
    rows = [row for row in stored.events if row["type"] == "newMessage"]
    return Outcome(tuple(map(Published, rows)))


def _edit(ledger: Ledger, work: Work, stored: Stored, content: str) -> Outcome:
    message = stored.message
    if message.deleted_at is not None or message.content == content:
        return Outcome()
    message.content = content
    message.edited_at = ledger.now
    ledger.rewrite(stored)
    conversation = ledger.conversations[message.conversation_id]
    if conversation.last_message_id == message.id:
        conversation.last_message = content
    event = MessageEdited(conversation_id=message.conversation_id, seq=conversation.last_seq + 1, message=message)
    return ledger.record(work, stored, event)


def _delete(ledger: Ledger, work: Work, stored: Stored) -> Outcome:
    message = stored.message
    if message.deleted_at is not None:
        return Outcome()
    message.content = None
    message.metadata = None
    message.deleted_at = ledger.now
    ledger.rewrite(stored)
    conversation = ledger.conversations[message.conversation_id]
    if conversation.last_message_id == message.id:
        conversation.recompute = True
    event = MessageDeleted(
        conversation_id=message.conversation_id, seq=conversation.last_seq + 1, message_id=message.id
    )
    return ledger.record(work, stored, event)


def _update_status(ledger: Ledger, work: Work, stored: Stored, job: UpdateMessageStatus) -> Outcome:
    message = stored.message
    user = job.user_id or DEVELOPMENT_USER
    key = (message.conversation_id, user)
    if job.joins is False and key not in ledger.members and key not in ledger.new_members:
        return Outcome()
    member = ledger.members.setdefault(key, Watermarks(0, 0))
    mark = member.read_seq if job.status == "read" else member.delivered_seq
    if message.seq <= mark:
        return Outcome()
    member.delivered_seq = max(member.delivered_seq, message.seq)
    if job.status == "read":
        member.read_seq = message.seq
    ledger.new_members.pop(key, None)
    ledger.changed_members[key] = {
        "conversation_id": message.conversation_id,
        "user_id": user,
        "delivered_seq": member.delivered_seq,
        "read_seq": member.read_seq,
        "joined_at": ledger.now,
    }
    ledger.raise_status(message.conversation_id, user, Status(job.status), mark, message.seq)
    event = MessageStatus(
        conversation_id=message.conversation_id,
        seq=ledger.conversations[message.conversation_id].last_seq + 1,
        message_id=message.id,
        status=job.status,
        user_id=user,
    )
    return ledger.record(work, stored, event)
