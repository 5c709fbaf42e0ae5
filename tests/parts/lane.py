"""Lanes without a database: jobs put in by the edge, taken out by hand."""

from __future__ import annotations

from collections.abc import Iterable

from chatq.cli.compose import Services, build
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import MessageData
from chatq.queue.claims import Finish, Held
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.lanes import Lanes
from chatq.settings import load


def services(redis_url: str, lanes: int = 1, database_url: str | None = None) -> Services:
    """Return the services of a process that works with this Redis, and with this database if one is named."""
    environment = {"REDIS_URL": redis_url, "CHATQ_LANES": str(lanes), "DATABASE_URL": database_url or ""}
    return build(load({}, environment))


def message(text: str, conversation: str = "general", lanes: int = 1, *, client_id: str | None = None) -> QueuedJob:
    """Return a prepared ``sendMessage`` with the content ``text``."""
    data = MessageData(sender_id="alice", content=text, client_message_id=client_id)
    return prepare(SendMessage(conversation_id=conversation, message_data=data), lanes)


def put(redis_url: str, texts: Iterable[str], conversation: str = "general", lanes: int = 1) -> list[str]:
    """Enqueue a message for each text and return the ids of their jobs."""
    jobs = [message(text, conversation, lanes) for text in texts]
    services(redis_url, lanes).edge().submit_many(jobs)
    return [job.job_id for job in jobs]


def ids(held: Held) -> list[str]:
    """Return the ids of the claimed jobs, in order."""
    return [claim.job_id for claim in held.claims]


def work_off(lanes: Lanes, held: Held, batch: int = 500) -> list[str]:
    """Finish all that the lane has, ``batch`` at a time, and return the ids in the order of their finish."""
    done: list[str] = []
    while held.claims:
        now = ids(held)
        assert lanes.finish(held, Finish(done=now), batch), "the lane was lost"
        done += now
    return done
