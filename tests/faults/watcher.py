"""A websocket client that follows conversations and resumes after every cut, and trusts nobody's numbers."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import repeat
from socket import SHUT_RDWR
from threading import Event
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.parts.told import check_frame

PAUSE = 0.1


class Watcher:
    """Follows ``conversations`` until ``enough`` is set, through one API after the other on ``ports``.

    Every event must be the next one: nothing may be missing, come twice or be out of order, not even across
    connections, for it resumes with ``since``.
    """

    def __init__(
        self,
        conversations: Sequence[str],
        ports: Sequence[int],
        enough: Event,
        *,
        cuts: Iterator[float] | None = None,
        calm: Event | None = None,
    ) -> None:
        """``cuts``: after how many seconds it cuts each of its connections off, until all is ``calm``."""
        self.seen: dict[str, list[dict[str, Any]]] = {conversation: [] for conversation in conversations}
        self.connections = 0
        self._ports = ports
        self._enough = enough
        self._cuts = cuts or repeat(math.inf)
        self._calm = calm or Event()
        self._next: dict[str, int] = {}
        """The number of the next event on the present connection."""
        self._asked: dict[str, int] = {}
        """What the last ``join`` named as ``since``."""

    def run(self) -> None:
        """Watch."""
        while not self._enough.is_set():
            port = self._ports[self.connections % len(self._ports)]
            self.connections += 1
            with suppress(OSError, WebSocketException), self._connect(port) as websocket:
                self._follow(websocket)
            self._enough.wait(PAUSE)

    def _connect(self, port: int) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None, open_timeout=5, close_timeout=1, max_size=None
        )

    def _follow(self, websocket: ClientConnection) -> None:
        cut_at = time.monotonic() + next(self._cuts)
        for conversation in self.seen:
            self._join(websocket, conversation)
        while not self._enough.is_set():
            if time.monotonic() >= cut_at and not self._calm.is_set():
                websocket.socket.shutdown(SHUT_RDWR)
                return
            with suppress(TimeoutError):
                message = websocket.recv(0.2)
                check_frame(message)
                self._take(websocket, json.loads(message))

    def _join(self, websocket: ClientConnection, conversation: str) -> None:
        since = self._asked[conversation] = len(self.seen[conversation])
        frame = {"type": "join", "conversationId": conversation, "since": since, "ref": conversation}
        websocket.send(json.dumps(frame))

    def _take(self, websocket: ClientConnection, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind in ("newMessage", "messageEdited", "messageDeleted", "messageStatus"):
            self._see(frame["conversationId"], frame)
        elif kind == "joined":
            assert frame["recovered"] is True, frame
            self._next[frame["conversationId"]] = self._asked[frame["conversationId"]] + 1
        elif kind == "error":
            self._refused(websocket, frame)
        else:
            assert kind == "hello", frame

    def _see(self, conversation: str, frame: dict[str, Any]) -> None:
        assert frame["seq"] == self._next[conversation], f"event {self._next[conversation]} should come, not {frame}"
        self._next[conversation] += 1
        # What came while a join was under way comes again after it.
        if frame["seq"] > len(self.seen[conversation]):
            self.seen[conversation].append(frame)

    def _refused(self, websocket: ClientConnection, frame: dict[str, Any]) -> None:
        assert frame["code"] == "database-unavailable", frame
        if not self._enough.wait(PAUSE):
            self._join(websocket, frame["ref"])
