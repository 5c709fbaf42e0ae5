"""The transaction on SQLite: write-ahead log, ``synchronous = FULL``, ``executemany``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from tests.benchmarks.limit.rows import EVENT_COLUMNS, MESSAGE_COLUMNS, Conversation, Job, Rows

_SEEN = "SELECT job_id FROM events WHERE job_id IN (SELECT value FROM json_each(?))"
_CONVERSATIONS = "SELECT id, last_seq FROM conversations WHERE id IN (SELECT value FROM json_each(?))"
_MEMBERS = "SELECT conversation_id, user_id FROM members WHERE conversation_id IN (SELECT value FROM json_each(?))"
_CHANGE = (
    "UPDATE conversations SET last_seq = ?, last_message_id = ?, last_message = ?, last_message_at = ? WHERE id = ?"
)
_json = msgspec.json.Encoder().encode


class Sqlite:
    """Writes batches."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
            self._connection.execute(f"PRAGMA {pragma}")

    def take_over(self, lane: int) -> int:
        """Begin a new epoch of a lane and return it."""
        statement = "INSERT INTO lanes (lane, epoch) VALUES (?, 1) ON CONFLICT (lane) DO UPDATE SET epoch = epoch + 1"
        self._connection.execute(statement, (lane,))
        return int(self._connection.execute("SELECT epoch FROM lanes WHERE lane = ?", (lane,)).fetchone()[0])

    def apply(
        self,
        lane: int,
        epoch: int,
        jobs: list[Job],
        write: Callable[[set[str], dict[str, Conversation]], Rows],
        now: str,
    ) -> Rows:
        """Commit what ``write`` makes of the jobs, and return it."""
        run, many = self._connection.execute, self._connection.executemany
        wanted = sorted({job.send.conversation_id for job in jobs})
        listed = _json(wanted).decode()
        run("BEGIN IMMEDIATE")
        if run("SELECT epoch FROM lanes WHERE lane = ?", (lane,)).fetchone() != (epoch,):
            raise RuntimeError(f"lane {lane} was taken over")
        seen = {id_ for (id_,) in run(_SEEN, (_json([job.id for job in jobs]).decode(),))}
        conversations = {id_: Conversation(id_, seq) for id_, seq in run(_CONVERSATIONS, (listed,))}
        members = set(run(_MEMBERS, (listed,)))
        new = [id_ for id_ in wanted if id_ not in conversations]
        if new:
            many("INSERT INTO conversations (id, created_at) VALUES (?, ?)", [(id_, now) for id_ in new])
            conversations |= {id_: Conversation(id_, 0) for id_ in new}
        rows = write(seen, conversations)
        many(f"INSERT INTO messages ({MESSAGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.messages)
        many(f"INSERT INTO events ({EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows.events)
        pairs = {(job.send.conversation_id, job.send.message_data.sender_id) for job in jobs} - members
        if pairs:
            statement = "INSERT INTO members (conversation_id, user_id, joined_at) VALUES (?, ?, ?)"
            many(statement, [(*pair, now) for pair in pairs])
        many(
            _CHANGE,
            [
                (c.last_seq, c.last_message_id, c.last_message, c.last_message_at, c.id)
                for c in map(conversations.__getitem__, rows.frames)
            ],
        )
        run("COMMIT")
        return rows
