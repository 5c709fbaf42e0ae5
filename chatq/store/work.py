"""What a batch works on, in memory: its jobs and what becomes of them, and the rows that they touch."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chatq.domain.jobs import MessageJob
from chatq.domain.messages import Message

EXPIRED = "expired"
"""Reason of a job that was not done in time."""

Row = dict[str, Any]


class Work(msgspec.Struct, frozen=True):
    """One job of a batch."""

    job_id: str
    message_id: str
    """The message that the job makes, or is about."""
    job: MessageJob
    created_at: str
    """When it was accepted."""
    last_attempt: bool = False
    """Whether it has failed for good if the database objects to it once more."""
    failed_before: bool = False
    """Whether it failed for good, and somebody queued it again."""
    expired: bool = False
    """Whether it may not be done any more, unless it was done before."""


@dataclass(slots=True)
class Published:
    """An event, as it goes to everyone in its conversation once the batch is committed."""

    row: Row
    """Its row in ``events``: a later job of the batch may still change its payload."""

    @property
    def conversation_id(self) -> str:
        """The conversation in which it happened."""
        return str(self.row["conversation_id"])

    @property
    def payload(self) -> str:
        """Its frame, byte for byte as it is stored."""
        return str(self.row["payload"])


class Outcome(msgspec.Struct, frozen=True):
    """What became of one job: events to publish, none without effect; or why it failed."""

    published: tuple[Published, ...] = ()
    failure: str | None = None
    """Why it can never succeed."""
    error: BaseException | None = None
    """The database's own objection, which another attempt may overcome."""
    missing: bool = False
    """The message that it is about is not there."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a batch that is applied once more did the first time."""

    applied: Mapping[str, Published] = field(default_factory=dict)
    """The event of each job that made one, by job id."""
    settled: AbstractSet[str] = frozenset()
    """Ids of the jobs that had no effect."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why jobs failed, by job id."""
    others: AbstractSet[str] = frozenset()
    """Ids of the jobs that may say something else than what was stored under their id."""
    failures: bool = True
    """Whether there may be failures, of whichever jobs, that are not resolved."""

    def knows(self, work: Work) -> bool:
        """Tell whether it is known already what became of a job."""
        return work.job_id in self.applied or work.job_id in self.failed or work.job_id in self.settled


@dataclass(slots=True)
class Conversation:
    """A conversation's row, while a batch works on it."""

    id: str
    last_seq: int
    last_message_id: str | None
    last_message: str | None
    last_message_at: str | None
    recompute: bool = False
    """Its last message was deleted: the one before must be looked up."""


@dataclass(slots=True)
class Stored:
    """A message that was there before, or is new in this batch."""

    message: Message
    new: bool
    events: list[Row] = field(default_factory=list)
    """Its events that carry content, as rows."""


@dataclass(slots=True)
class Watermarks:
    """How far a member has come with a conversation."""

    delivered_seq: int
    read_seq: int
