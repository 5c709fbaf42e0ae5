"""Stock RQ: its ``SimpleWorker``, and a job function that stores one message in a transaction and publishes it.

    python -m tests.benchmarks.peers.stock_rq fill REDIS_URL MESSAGES CONVERSATIONS
    python -m tests.benchmarks.peers.stock_rq work REDIS_URL DATABASE_URL

Rows and transaction are the guide's, all settings RQ's own, its log included. Nothing of chatq is imported.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import LiteralString

import psycopg
import redis
from rq import Queue, SimpleWorker

QUEUE = "messages"
FUNCTION = "tests.benchmarks.peers.stock_rq.send_message"

_TABLES: LiteralString = """
CREATE TABLE IF NOT EXISTS rq_conversations (id text PRIMARY KEY, last_message text, last_message_at timestamptz);
CREATE TABLE IF NOT EXISTS rq_messages (
    id bigserial PRIMARY KEY, conversation_id text NOT NULL, sender_id text NOT NULL, content text NOT NULL,
    status text NOT NULL DEFAULT 'sent', created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS rq_messages_by_conversation ON rq_messages (conversation_id, id);
"""
_INSERT: LiteralString = """
INSERT INTO rq_messages (conversation_id, sender_id, content) VALUES (%s, %s, %s)
RETURNING id, conversation_id, sender_id, content, status, created_at
"""
_TOUCH: LiteralString = """
INSERT INTO rq_conversations (id, last_message, last_message_at) VALUES (%s, %s, now())
ON CONFLICT (id) DO UPDATE SET last_message = excluded.last_message, last_message_at = excluded.last_message_at
"""


def send_message(conversation_id: str, sender_id: str, content: str) -> None:
    """Store a message and its conversation's last message in one transaction, then publish it."""
    with _database().transaction(), _database().cursor() as cursor:
        row = cursor.execute(_INSERT, (conversation_id, sender_id, content)).fetchone()
        cursor.execute(_TOUCH, (conversation_id, content))
    _redis().publish(f"conversation:{conversation_id}", json.dumps(row, default=str))


@functools.cache
def _database() -> psycopg.Connection:
    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    connection.execute(_TABLES)
    return connection


@functools.cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"])


def fill(messages: int, conversations: int) -> None:
    """Enqueue so many messages, of the conversations in turn."""
    queue = Queue(QUEUE, connection=_redis())
    queue.enqueue_many(
        [
            Queue.prepare_data(FUNCTION, (f"c{number % conversations}", "alice", f"hello {number}"))
            for number in range(messages)
        ]
    )


def main(what: str, redis_url: str, *rest: str) -> None:
    """Do what the command line asks for."""
    os.environ["REDIS_URL"] = redis_url
    if what == "fill":
        fill(*map(int, rest))
    else:
        (os.environ["DATABASE_URL"],) = rest
        SimpleWorker([QUEUE], connection=_redis()).work()


if __name__ == "__main__":
    main(*sys.argv[1:])
