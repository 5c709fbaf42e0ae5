"""Names of the keys in Redis: RQ's, which any RQ tool reads, and chatq's own.

RQ reads its prefix from ``RQ_KEY_PREFIX`` at import; chatq's keys take the same prefix, so that two
installations can share a Redis, and a cluster can keep them in one slot.
"""

from __future__ import annotations

from rq.defaults import RQ_KEY_PREFIX

RQ = RQ_KEY_PREFIX
CHATQ = "chatq" if RQ == "rq" else f"{RQ}:chatq"

MESSAGES = "messages"
"""The RQ queue in which plain RQ clients put message jobs; the router moves them to their lanes."""
HANDLERS = "default"
"""The RQ queue of the jobs that users' handlers do."""

QUEUES = f"{RQ}:queues"
JOB = f"{RQ}:job:"

INSTALLATION = f"{CHATQ}:installation"
LANES = f"{CHATQ}:lanes"
DOORBELL = f"{CHATQ}:doorbell"
SEEN = f"{CHATQ}:seen:"
SENT = f"{CHATQ}:sent:"
"""Before a user's id: what the user has used up of what may be sent."""
BEHIND = f"{CHATQ}:behind"
ENDED = f"{CHATQ}:ended"
ROTATION = f"{CHATQ}:rotation"
HANDLER_WORKERS = f"{CHATQ}:handlers"
ROUTER = f"{CHATQ}:router"
PRESENCE = f"{CHATQ}:presence"
MEMBERS = f"{CHATQ}:members"
"""The pub/sub channel on which every API process hears of changes in who is in which conversation."""


def lane_name(lane: int) -> str:
    """Return the name of the RQ queue that is this lane."""
    return f"{MESSAGES}:{lane}"


def queue(name: str) -> str:
    """Return RQ's list of the ids of a queue's jobs."""
    return f"{RQ}:queue:{name}"


def started(name: str) -> str:
    """Return RQ's sorted set of a queue's started jobs."""
    return f"{RQ}:wip:{name}"


def failed(name: str) -> str:
    """Return RQ's sorted set of a queue's failed jobs."""
    return f"{RQ}:failed:{name}"


def job(job_id: str) -> str:
    """Return RQ's hash of a job."""
    return JOB + job_id


def claims(lane: int) -> str:
    """Return the list of a lane's claimed jobs, in order: the only source of recovery."""
    return f"{CHATQ}:lane:{lane}:claims"


def lease(lane: int) -> str:
    """Return the key that exists while a worker holds the lane; its value is the holder's token."""
    return f"{CHATQ}:lane:{lane}:lease"


def epoch(lane: int) -> str:
    """Return the key of the lane's epoch as the database has it; absent means: take over in the database."""
    return f"{CHATQ}:lane:{lane}:epoch"


def finished(lane: int) -> str:
    """Return the key of the name of a lane's last finish, by which one that is sent twice is recognised."""
    return f"{CHATQ}:lane:{lane}:finished"


def conversation_channel(conversation_id: str) -> str:
    """Return the pub/sub channel of a conversation's events."""
    return f"{CHATQ}:conversation:{conversation_id}"


def user_channel(user_id: str) -> str:
    """Return the pub/sub channel of what is for one user alone."""
    return f"{CHATQ}:user:{user_id}"


def heeded(announcement: str) -> str:
    """Return the list to which each API process that goes by an announced change of members adds an entry."""
    return f"{CHATQ}:heeded:{announcement}"


def handler_claims(worker: str) -> str:
    """Return the list of the jobs that a handler worker has taken and not ended."""
    return f"{CHATQ}:handlers:{worker}"


def allowance(kind: str, user_id: str) -> str:
    """Return the key of what a user has used up of what may be done over sockets; ``kind`` says of what."""
    return f"{CHATQ}:{kind}:{user_id}"
