"""The transaction on Postgres: all reads in one round trip, then the rows, by COPY or by ``executemany``."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

import psycopg

from tests.benchmarks.limit.rows import Conversation, Job, Rows

_FENCE: LiteralString = "SELECT epoch FROM lanes WHERE lane = %s FOR SHARE"
_SEEN: LiteralString = "SELECT job_id FROM events WHERE job_id = ANY(%s)"
_LOCK: LiteralString = "SELECT id, last_seq FROM conversations WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_MEMBERS: LiteralString = (
    "SELECT conversation_id, user_id FROM members WHERE conversation_id = ANY(%s) AND user_id = ANY(%s)"
)
_MESSAGES: LiteralString = (
    "messages (id, conversation_id, seq, sender_id, client_message_id, content, metadata, created_at, persisted_at)"
)
_EVENTS: LiteralString = "events (conversation_id, seq, type, message_id, job_id, payload, created_at)"
_CHANGE: LiteralString = """
UPDATE conversations SET last_seq = n.seq, last_message_id = n.message, last_message = n.content,
  last_message_at = n.at
FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[]) n (id, seq, message, content, at)
WHERE conversations.id = n.id
"""


class Postgres:
    """Writes batches; ``variant`` is ``copy`` or ``executemany``."""

    def __init__(self, url: str, variant: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self._insert = self._copy if variant == "copy" else self._executemany

    def take_over(self, lane: int) -> int:
        """Begin a new epoch of a lane and return it."""
        row = self._connection.execute(
            "INSERT INTO lanes (lane, epoch) VALUES (%s, 1) "
            "ON CONFLICT (lane) DO UPDATE SET epoch = lanes.epoch + 1 RETURNING epoch",
            (lane,),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def apply(
        self,
        lane: int,
        epoch: int,
        jobs: list[Job],
        write: Callable[[set[str], dict[str, Conversation]], Rows],
        now: str,
    ) -> Rows:
        """Commit what ``write`` makes of the jobs, and return it."""
        wanted = sorted({job.send.conversation_id for job in jobs})
        senders = sorted({job.send.message_data.sender_id for job in jobs})
        run = self._connection.execute
        with self._connection.pipeline():
            run("BEGIN")
            fence = run(_FENCE, (lane,))
            duplicates = run(_SEEN, ([job.id for job in jobs],))
            locked = run(_LOCK, (wanted,))
            joined = run(_MEMBERS, (wanted, senders))
            if fence.fetchone() != (epoch,):
                raise RuntimeError(f"lane {lane} was taken over")
            seen = {row[0] for row in duplicates.fetchall()}
            conversations = {id_: Conversation(id_, seq) for id_, seq in locked.fetchall()}
            members = set(joined.fetchall())
        new = [id_ for id_ in wanted if id_ not in conversations]
        if new:
            run("INSERT INTO conversations (id, created_at) SELECT unnest(%s::text[]), %s", (new, now))
            conversations |= {id_: Conversation(id_, 0) for id_ in new}
        pairs = {(job.send.conversation_id, job.send.message_data.sender_id) for job in jobs} - members
        rows = write(seen, conversations)
        self._insert(rows)
        with self._connection.pipeline():
            if pairs:
                run(
                    "INSERT INTO members (conversation_id, user_id, joined_at) "
                    "SELECT *, %s::timestamptz FROM unnest(%s::text[], %s::text[])",
                    (now, [pair[0] for pair in pairs], [pair[1] for pair in pairs]),
                )
            changed = [conversations[id_] for id_ in rows.frames]
            run(
                _CHANGE,
                (
                    [c.id for c in changed],
                    [c.last_seq for c in changed],
                    [c.last_message_id for c in changed],
                    [c.last_message for c in changed],
                    [c.last_message_at for c in changed],
                ),
            )
            run("COMMIT")
        return rows

    def _executemany(self, rows: Rows) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {_MESSAGES} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", rows.messages)
            cursor.executemany(f"INSERT INTO {_EVENTS} VALUES (%s, %s, %s, %s, %s, %s, %s)", rows.events)

    def _copy(self, rows: Rows) -> None:
        with self._connection.cursor() as cursor:
            for table, values in ((_MESSAGES, rows.messages), (_EVENTS, rows.events)):
                with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
