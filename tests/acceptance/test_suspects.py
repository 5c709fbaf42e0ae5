"""What looks like an outage and is none, what ran out of time, and what comes late."""

from __future__ import annotations

from datetime import timedelta

from rq import Queue
from rq.serializers import JSONSerializer

from tests.parts.command import Chatq
from tests.parts.installation import Installation
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

LATE = "2020-01-01T00:00:00Z"


def test_a_row_that_an_operator_holds_does_not_block_its_lane(chatq: Chatq, valkey: Valkey, postgres_url: str) -> None:
    # Given two conversations of one lane, and a session that holds one of them and does not end
    installation = Installation(chatq, valkey.url, postgres_url)
    lane = installation.prepare("sendMessage", conversationId="held", content="x").lane
    free = next(
        name
        for name in (f"free{number}" for number in range(1000))
        if installation.prepare("sendMessage", conversationId=name, content="x").lane == lane
    )
    for conversation in ("held", free):
        installation.send("before", conversation)
    installation.work_off()
    with installation.engine.connect() as session:
        session.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        session.commit()
        session.exec_driver_sql("SELECT * FROM conversations WHERE id = 'held' FOR UPDATE")

        # When messages for both are accepted in turn
        for number in range(4):
            installation.send(f"{number}", "held")
            installation.send(f"{number}", free)
        worker = installation.start_worker()

        # Then those of the other conversation are stored although the lock stays
        count = f"SELECT count(*) FROM messages WHERE conversation_id = '{free}'"
        until(lambda: installation.one(count)[0] == 5, 150, "the other conversation's messages stored")
        # And the worker ends when it is told to
        assert worker.terminate() == 0
        session.rollback()

    # And once the lock is gone, those that waited are stored as well
    worker = installation.start_worker()
    count = "SELECT count(*) FROM messages WHERE conversation_id = 'held'"
    until(lambda: installation.one(count)[0] == 5, what="the held conversation's messages stored")
    assert worker.terminate() == 0
    assert installation.rows("SELECT reason FROM failures WHERE resolved_at IS NULL") == []


def test_waiting_for_an_expired_message_tells_that_it_was_not_done(
    chatq: Chatq, valkey: Valkey, database_url: str
) -> None:
    installation = Installation(chatq, valkey.url, database_url)
    worker = installation.start_worker()

    result = installation("enqueue", "sendMessage", "conversationId=c", "content=x", f"expiresAt={LATE}", "--wait")

    assert result.code == 1
    assert result.stdout.startswith("failed ")
    assert "expired" in result.stderr
    # And a repeat that has time is done
    for expiry in (LATE, "2100-01-01T00:00:00Z"):
        fields = ["conversationId=c", "content=x", "clientMessageId=1", f"expiresAt={expiry}"]
        result = installation("enqueue", "sendMessage", *fields, "--wait")
    assert result.code == 0
    assert installation.one("SELECT count(*) FROM messages")[0] == 1
    assert worker.terminate() == 0


def test_a_delayed_job_of_a_plain_rq_client_arrives(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> None:
    installation = Installation(chatq, valkey.url, sqlite_url)
    worker = installation.start_worker()
    queue = Queue("messages", connection=installation.redis, serializer=JSONSerializer)

    queue.enqueue_in(
        timedelta(seconds=1), "chatq.jobs.send_message", conversationId="c", messageData={"content": "later"}
    )

    until(lambda: installation.one("SELECT count(*) FROM messages")[0] == 1, what="the message stored")
    assert worker.terminate() == 0


def test_a_message_job_by_its_function_name_is_a_message_job(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> None:
    installation = Installation(chatq, valkey.url, sqlite_url)

    result = installation("enqueue", "send_message", "conversationId=c", "content=x", "--json")

    assert result.code == 0
    installation.work_off()
    assert installation.one("SELECT content FROM messages")[0] == "x"
