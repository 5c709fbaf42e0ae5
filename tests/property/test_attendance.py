"""Who is there: processes that tell each other who comes and leaves agree, whatever happens in between."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatq.realtime.attendance import Attendance
from chatq.realtime.gossip import Moves

PROCESSES = ["p", "q", "r"]
USERS = ["alice", "bob", "carol"]
processes, users = st.sampled_from(PROCESSES), st.sampled_from(USERS)


class Processes(RuleBasedStateMachine):
    """Processes that follow one conversation, and clients that believe what they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[str, Attendance] = {}
        self.sockets: Counter[tuple[str, str]] = Counter()
        self.believed: dict[str, set[str]] = {}

    @rule(process=processes, user=users)
    def enter(self, process: str, user: str) -> None:
        if process not in self.rooms:
            self.rooms[process] = Attendance("c")
            self.believed[process] = set()
        self.rooms[process].enter(user)
        self.sockets[process, user] += 1

    @rule(process=processes, user=users)
    def leave(self, process: str, user: str) -> None:
        if self.sockets[process, user]:
            self.rooms[process].leave(user)
            self.sockets[process, user] -= 1

    @rule(process=processes)
    def tell(self, process: str) -> None:
        """Let a process tell the others and its followers what has changed."""
        room = self.rooms.get(process)
        if room is None:
            return
        for piece in room.take_news(process):
            assert not isinstance(piece, Moves) or piece.came or piece.left or piece.ask
            for name, other in self.rooms.items():
                if name != process:
                    other.hear(piece, 0)
                    if isinstance(piece, Moves) and piece.ask:
                        other.to_announce = True
        self.show(process)

    @rule(process=processes)
    def die(self, process: str) -> None:
        """Let a process be gone without a word, and the others find that."""
        if self.rooms.pop(process, None) is not None:
            del self.believed[process]
            for user in USERS:
                del self.sockets[process, user]
            for room in self.rooms.values():
                room.lose(process)

    @invariant()
    def all_agree_once_everything_is_told(self) -> None:
        if not self.is_quiet():
            return
        present = {user for (_, user), count in self.sockets.items() if count}
        for process in self.rooms:
            self.show(process)
            assert self.believed[process] == present

    def teardown(self) -> None:
        # One who begins to follow makes others answer.
        for _ in range(2):
            for process in list(self.rooms):
                self.tell(process)
        assert self.is_quiet()
        self.all_agree_once_everything_is_told()

    def is_quiet(self) -> bool:
        """Tell whether no process has anything to tell the others, without having it told."""
        return not any(list(deepcopy(room).take_news(process)) for process, room in self.rooms.items())

    def show(self, process: str) -> None:
        """Let a process's followers be told, and who is new find the same in the roll."""
        room, believed = self.rooms[process], self.believed[process]
        for user, frame in room.take_frames().items():
            document = read(frame)
            assert document["userId"] == user
            assert (user in believed) != document["online"], "nobody is told what they know"
            (believed.add if document["online"] else believed.discard)(user)
        assert {each["userId"] for each in read_all(room.roll(None))} == believed
        assert {each["userId"] for each in read_all(room.roll("alice"))} == believed - {"alice"}


TestProcesses = Processes.TestCase


def read(frame: bytes) -> dict[str, Any]:
    (document,) = read_all(frame)
    return document


def read_all(frames: bytes) -> list[dict[str, Any]]:
    documents = []
    while frames:
        size = frames[1]
        documents.append(json.loads(frames[2 : 2 + size]))
        frames = frames[2 + size :]
    return documents
