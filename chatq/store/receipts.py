"""Receipts: which of the marks in a batch need not be made, because a later one goes further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chatq.domain.jobs import UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.store.ledger import Stored, Work

_Who = tuple[str, str, bool | None]
"""A conversation, a user, and whether the mark makes the user a member."""


def find_superseded(works: Sequence[Work], stored: Mapping[str, Stored]) -> set[str]:
    """Return the ids of jobs of which nothing would be seen once the batch is done but one event more.

    A job that reaches as far as an earlier one of the same user in the same conversation supersedes it: ``read``
    covers ``delivered``. Only marks on messages that were ``stored`` before the batch count: nothing in the batch
    can make these fail. Done once more by itself, a superseded job finds that its mark was passed.
    """
    furthest: dict[_Who, tuple[int, int]] = {}
    """Numbers of the furthest messages that later jobs mark as delivered, and as read."""
    superseded: set[str] = set()
    kept: set[str] = set()
    for work in reversed(works):
        job = work.job
        message = stored.get(work.message_id)
        if not isinstance(job, UpdateMessageStatus) or work.expired or message is None:
            continue
        seq = message.message.seq
        who = (message.message.conversation_id, job.user_id or DEVELOPMENT_USER, job.joins)
        delivered, read = furthest.get(who, (0, 0))
        if seq <= (read if job.status == "read" else delivered):
            superseded.add(work.job_id)
        else:
            furthest[who] = (max(delivered, seq), seq if job.status == "read" else read)
            kept.add(work.job_id)
    return superseded - kept
