"""Receipts in a batch: which marks need not be made, because a later one goes further."""

from __future__ import annotations

from collections.abc import Sequence

from chatq.domain.jobs import UpdateMessageStatus
from chatq.domain.messages import DEVELOPMENT_USER
from chatq.domain.receipts import Mark, find_covering
from chatq.store.ledger import Ledger
from chatq.store.work import Work


def find_superseded(works: Sequence[Work], ledger: Ledger) -> set[str]:
    """Return the ids of jobs of which nothing would be seen once the batch is done but one event more.

    Only marks on messages that were stored before the batch count, and that were not tried before: nothing in the batch
    can make these fail. Done once more by itself, a superseded job finds that its mark was passed.
    """
    job_ids: list[str] = []
    marks: list[Mark] = []
    for work in works:
        if ledger.before.knows(work):
            continue
        job, message = work.job, ledger.messages.get(work.message_id)
        if isinstance(job, UpdateMessageStatus) and message is not None and not work.expired:
            who = (message.message.conversation_id, job.user_id or DEVELOPMENT_USER, job.joins)
            job_ids.append(work.job_id)
            marks.append(Mark(who, message.message.seq, job.status == "read"))
    covering = find_covering(marks)
    # A job that is there twice is done once, wherever it counts.
    kept = {job_id for at, job_id in enumerate(job_ids) if covering[at] == at}
    return set(job_ids) - kept
