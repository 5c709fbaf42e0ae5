"""Real conversations through ``chatq enqueue --file`` into the database, on both kinds of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conversations import BLANK, CONVERSATIONS, LINES, write_conversations
from tests.parts.installation import Installation

A_PART = 1000
"""So many of the conversations go to Postgres, 37,723 lines: what a file of more than twice that is to the queue, which
both databases have in common, is shown with SQLite."""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_real_conversations_are_stored_once_and_in_order(installation: Installation, tmp_path: Path) -> None:
    # Given a file of real conversations, in which some utterances are blank
    path = tmp_path / "conversations.jsonl.gz"
    whole = installation.engine.dialect.name == "sqlite"
    conversations = CONVERSATIONS if whole else A_PART
    write_conversations(path, conversations)
    with gzip.open(path) as file:
        lines = [json.loads(line) for line in file]
    blank = [number for number, line in enumerate(lines, 1) if not line["content"].strip()]
    assert not whole or (len(lines), len(blank)) == (LINES, BLANK)
    # When it is fed
    first = installation("enqueue", "sendMessage", "--file", str(path), "--json", timeout=300)
    # Then the blank ones are rejected, each with its line's number and the reason, and the others are accepted
    accepted = len(lines) - len(blank)
    assert (first.code, first.json) == (1, {"accepted": accepted, "rejected": len(blank), "duplicates": 0})
    told = [line for line in first.stderr.splitlines() if line.startswith(str(path))]
    assert told == [f"{path}:{number}: content: is blank" for number in blank]
    # And when its beginning, up to the second of them, is fed once more under the same name, then nothing is new in it
    again = tmp_path / "again" / path.name
    again.parent.mkdir()
    some = blank[1]
    again.write_bytes(gzip.compress(b"".join(gzip.decompress(path.read_bytes()).splitlines(keepends=True)[:some])))
    second = installation("enqueue", "sendMessage", "--file", str(again), timeout=300)
    assert (second.code, second.stdout) == (1, f"0 accepted, 2 rejected, {some - 2} duplicates\n")
    # When a worker does what is there
    worked = installation("worker", "--only", "messages", "--burst", timeout=300)
    assert worked.code == 0, worked
    # Then every conversation is stored as it is in the file, numbered from 1 without a gap
    expected = spoken(lines)
    assert len(expected) == conversations
    assert stored(installation) == expected
    assert told_to_clients(installation) == expected
    # And each knows its last message
    assert last_messages(installation) == {
        conversation: (len(said), len(said), said[-1][2]) for conversation, said in expected.items()
    }
    # And nothing waits or has failed
    assert installation.waiting() == installation.started() == 0
    assert installation.rows("SELECT * FROM failures") == []


Said = dict[str, list[tuple[int, str, str]]]
"""Number, sender and content of each message, by conversation."""


def spoken(lines: list[dict[str, str]]) -> Said:
    """Return what the lines should become."""
    said: Said = {}
    for line in lines:
        if line["content"].strip():
            messages = said.setdefault(line["conversationId"], [])
            messages.append((len(messages) + 1, line["senderId"], line["content"]))
    return said


def stored(installation: Installation) -> Said:
    """Return what the table of messages says."""
    said: Said = {}
    for row in installation.rows("SELECT * FROM messages ORDER BY conversation_id, seq"):
        said.setdefault(row.conversation_id, []).append((row.seq, row.sender_id, row.content))
    return said


def told_to_clients(installation: Installation) -> Said:
    """Return what the events say."""
    said: Said = {}
    for row in installation.rows("SELECT seq, payload FROM events ORDER BY conversation_id, seq"):
        frame: dict[str, Any] = json.loads(row.payload)
        message = frame["message"]
        assert (frame["type"], frame["seq"], message["seq"]) == ("newMessage", row.seq, row.seq)
        said.setdefault(frame["conversationId"], []).append((row.seq, message["senderId"], message["content"]))
    return said


def last_messages(installation: Installation) -> dict[str, tuple[int, int, str]]:
    """Return each conversation's last event number, and number and content of its last message."""
    query = """
        SELECT c.id, c.last_seq, m.seq, c.last_message
        FROM conversations c JOIN messages m ON m.id = c.last_message_id
    """
    return {row.id: (row.last_seq, row.seq, row.last_message) for row in installation.rows(query)}
