"""A room: every follower gets every event once, in order, whatever the bus loses, repeats and delays."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, update

from chatq.realtime import live
from chatq.realtime import room as room_module
from chatq.realtime.framing import CloseCode
from chatq.realtime.live import BURST_BYTES, CHUNK_BYTES, Numbered, Past, Window, in_chunks, numbered
from chatq.realtime.room import NotKept, Room
from chatq.store import schema
from chatq.store.engine import create_engine
from chatq.store.event_log import replay
from chatq.store.tables import conversations, events

NOW = "2026-01-01T00:00:00.000Z"


class Log:
    """A conversation's log, in a real database."""

    def __init__(self, engine: Engine, conversation_id: str) -> None:
        self.engine = engine
        self.id = conversation_id
        self.last = 0
        with engine.begin() as connection:
            connection.execute(insert(conversations).values(id=conversation_id, created_at=NOW))

    def commit(self, count: int = 1) -> list[Numbered]:
        """Commit the next events and return them, as they would be published."""
        seqs = range(self.last + 1, self.last + count + 1)
        rows: list[dict[str, Any]] = [
            {
                "conversation_id": self.id,
                "seq": seq,
                "type": "newMessage",
                "message_id": f"m{seq}",
                "job_id": f"{self.id}-{seq}",
                "payload": json.dumps({"seq": seq}),
                "created_at": NOW,
            }
            for seq in seqs
        ]
        self.last += count
        with self.engine.begin() as connection:
            connection.execute(insert(events), rows)
            connection.execute(update(conversations).where(conversations.c.id == self.id).values(last_seq=self.last))
        return [numbered(row["payload"]) for row in rows]

    def set_back(self, last: int) -> None:
        """Lose the newest events, as a database does that is restored from a backup."""
        self.last = last
        with self.engine.begin() as connection:
            connection.execute(delete(events).where(events.c.seq > last))
            connection.execute(update(conversations).where(conversations.c.id == self.id).values(last_seq=last))

    def read(self, since: int, limit: int = 500) -> Past:
        """Read a page of the log."""
        page = replay(self.engine, self.id, since, limit)
        return Past([numbered(payload) for payload in page.payloads], page.last_seq)


class Recorder:
    """A follower that keeps what it gets."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.closed: int | None = None
        self.drained = 0

    def send(self, frame: bytes) -> None:
        while frame:
            size = frame[1]
            self.seqs.append(json.loads(frame[2 : 2 + size])["seq"])
            frame = frame[2 + size :]

    def drain(self, size: int, timeout: float) -> None:
        self.drained += 1

    def close(self, code: int, reason: str, *, at_once: bool = False) -> None:
        self.closed = code


def nothing() -> None:
    """Wait for nobody."""


def join(room: Room, log: Log, since: int) -> Recorder:
    """Let a new follower join, resuming after ``since``."""
    follower = Recorder()
    window = room.watch()
    try:
        room.add(follower, log.read(since), since, window, user=None, send=follower.send, pause=nothing)
    finally:
        room.unwatch(window)
    return follower


def settle() -> None:
    """Let everything happen that is under way."""
    for _ in range(20):
        gevent.sleep(0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/room.sqlite3", full_sync=False)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def log(database: Engine) -> Log:
    return Log(database, "c")


@pytest.fixture
def room(log: Log) -> Room:
    return Room(log.id, log.engine)


# --- windows -------------------------------------------------------------------------------------


def test_window_joins_on_to_the_log() -> None:
    seen = [Numbered(seq, b"") for seq in (4, 5, 6)]
    window = Window()
    window.see(seen)
    assert window.after(3) == seen
    assert window.after(5) == seen[2:]
    assert window.after(6) == []
    assert window.after(2) is None, "3 is missing"
    window.see([Numbered(5, b""), Numbered(7, b"")])
    assert [event.seq for event in window.after(3) or []] == [4, 5, 6, 7]


def test_window_that_was_spoilt_or_is_full_knows_nothing_until_it_is_opened_anew() -> None:
    window = Window()
    window.spoil()
    window.see([Numbered(1, b"")])
    assert window.after(0) is None
    window.open()
    assert window.after(0) == []
    window.see([Numbered(1, b"x" * BURST_BYTES)])
    assert len(window.after(0) or []) == 1
    window.see([Numbered(2, b"x")])
    assert window.after(0) is None


def test_chunks_are_bounded_and_complete() -> None:
    sizes = [random.randint(1, CHUNK_BYTES * 2) for _ in range(50)]
    all_events = [Numbered(seq, b"x" * size) for seq, size in enumerate(sizes)]
    chunks = list(in_chunks(all_events))
    assert [event for chunk in chunks for event in chunk] == all_events
    assert all(len(chunk) == 1 or sum(len(event.frame) for event in chunk) <= CHUNK_BYTES for chunk in chunks)


# --- following -----------------------------------------------------------------------------------


def test_late_and_early_followers_get_the_same(room: Room, log: Log) -> None:
    log.commit(3)
    early = join(room, log, 0)
    room.receive(log.commit(2))
    late = join(room, log, 2)
    room.receive(log.commit())
    assert early.seqs == [1, 2, 3, 4, 5, 6]
    assert late.seqs == [3, 4, 5, 6]


def test_many_pages_are_read(room: Room, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "PAGE", 7)
    log.commit(50)
    window = room.watch()
    follower = Recorder()
    room.add(follower, log.read(0, 7), 0, window, user=None, send=follower.send, pause=nothing)
    assert follower.seqs == list(range(1, 51))


def test_who_joins_after_the_log_was_set_back_follows_it_and_who_was_ahead_begins_anew(room: Room, log: Log) -> None:
    log.commit(5)
    ahead = join(room, log, 4)
    log.set_back(3)
    follower = join(room, log, 2)
    room.receive(log.commit())
    assert ahead.closed == CloseCode.FAULT
    assert follower.seqs == [3, 4]


def test_repeats_are_dropped(room: Room, log: Log) -> None:
    follower = join(room, log, 0)
    first = log.commit(2)
    room.receive(first)
    room.receive(first)
    room.receive(first + log.commit())
    assert follower.seqs == [1, 2, 3]


def test_gap_is_filled_from_the_log(room: Room, log: Log) -> None:
    followers = [join(room, log, 0) for _ in range(3)]
    log.commit(2)
    room.receive(log.commit())
    settle()
    assert all(follower.seqs == [1, 2, 3] for follower in followers)


def test_event_that_is_read_before_it_is_published_comes_once(room: Room, log: Log) -> None:
    early = join(room, log, 0)
    published_later = log.commit(3)
    ahead = join(room, log, 0)
    assert (early.seqs, ahead.seqs) == ([], [1, 2, 3])
    room.receive(published_later[:2])
    room.receive(published_later[2:] + log.commit())
    room.receive(log.commit())
    assert early.seqs == ahead.seqs == [1, 2, 3, 4, 5]


def test_what_happens_between_pages_is_not_lost(room: Room, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "PAGE", 5)
    log.commit(12)
    others = join(room, log, 12)
    follower = Recorder()
    window = room.watch()

    def meanwhile() -> None:
        if log.last < 20:
            room.receive(log.commit())

    room.add(follower, log.read(0, 5), 0, window, user=None, send=follower.send, pause=meanwhile)
    room.unwatch(window)
    room.receive(log.commit())
    assert follower.seqs == list(range(1, log.last + 1))
    assert others.seqs == list(range(13, log.last + 1))


def test_log_that_lost_events_ends_its_followers(room: Room, log: Log) -> None:
    follower = join(room, log, 0)
    log.commit(3)
    with log.engine.begin() as connection:
        connection.execute(events.delete().where(events.c.seq == 2))
    room.receive(log.commit())
    settle()
    assert follower.closed == 4500
    window = room.watch()
    with pytest.raises(NotKept):
        room.add(follower, log.read(0), 0, window, user=None, send=follower.send, pause=nothing)


def test_burst_goes_out_in_chunks(room: Room, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "BURST_BYTES", 100)
    monkeypatch.setattr(live, "BURST_BYTES", 100)
    monkeypatch.setattr(live, "CHUNK_BYTES", 50)
    follower = join(room, log, 0)
    room.receive(log.commit(5))
    assert (follower.seqs, follower.drained) == ([1, 2, 3, 4, 5], 0)
    room.receive(log.commit(40))
    settle()
    room.receive(log.commit())
    assert follower.seqs == list(range(1, 47))
    assert follower.drained > 5


def test_room_is_empty_once_everybody_has_left(room: Room, log: Log) -> None:
    def state() -> tuple[bool, int | None]:
        return room.empty, room.position

    assert state() == (True, None)
    window = room.watch()
    assert state() == (False, None)
    room.unwatch(window)
    follower = join(room, log, 0)
    assert state() == (False, 0)
    room.audience.remove(follower)
    assert state() == (True, None)


def test_new_follower_while_a_gap_is_filled_for_nobody(room: Room, log: Log) -> None:
    gone = join(room, log, 0)
    log.commit(2)
    room.receive(log.commit())
    room.audience.remove(gone)
    follower = join(room, log, 1)
    settle()
    room.receive(log.commit())
    settle()
    assert follower.seqs == [2, 3, 4]


class Chance:
    """A bus that loses, repeats and delays, in front of a room whose followers come and go."""

    def __init__(self, room: Room, log: Log) -> None:
        self.room = room
        self.log = log
        self.on_the_way: list[list[Numbered]] = []
        self.past: list[list[Numbered]] = []
        self.followers: list[tuple[int, Recorder]] = []

    def commit(self, count: int) -> None:
        self.on_the_way.append(self.log.commit(count))

    def publish(self) -> None:
        if self.on_the_way:
            self.past.append(self.on_the_way.pop(0))
            self.room.receive(self.past[-1])

    def lose(self) -> None:
        if self.on_the_way:
            self.on_the_way.pop(0)

    def repeat(self, which: int) -> None:
        if self.past:
            self.room.receive(self.past[which % len(self.past)])

    def join(self, back: int) -> None:
        since = max(0, self.log.last - back)
        self.followers.append((since, join(self.room, self.log, since)))

    def leave(self, which: int) -> None:
        if self.followers:
            since, follower = self.followers.pop(which % len(self.followers))
            self.room.audience.remove(follower)
            assert follower.seqs == list(range(since + 1, since + 1 + len(follower.seqs)))

    def restore(self) -> None:
        """What the hub does once the bus is connected again."""
        self.on_the_way.clear()
        self.room.spoil()
        if self.room.position is not None and self.room.position < self.log.last:
            self.room.fill()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 4)),
        st.tuples(st.just("publish")),
        st.tuples(st.just("lose")),
        st.tuples(st.just("repeat"), st.integers(0, 20)),
        st.tuples(st.just("join"), st.integers(0, 10)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("restore")),
        st.tuples(st.just("settle")),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(steps=STEPS)
def test_whatever_happens_followers_get_every_event_once_and_in_order(
    database: Engine, steps: list[tuple[str, ...]]
) -> None:
    log = Log(database, f"c-{uuid4()}")
    chance = Chance(Room(log.id, database), log)
    for name, *arguments in steps:
        if name == "settle":
            settle()
        else:
            getattr(chance, name)(*arguments)

    chance.restore()
    settle()

    for since, follower in chance.followers:
        assert follower.closed is None
        assert follower.seqs == list(range(since + 1, log.last + 1))
