"""What was received and read here, as far as the server may not know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chatq.client.connection import Frame
from chatq.client.errors import PASSING, pause_after
from chatq.client.line import Line


@dataclass
class _Status:
    status: str
    told: int = 0
    """The ref under which the server was told over the present connection; 0 if it was not."""


class Statuses:
    """Statuses by message. The server answers none that it takes, but has taken it once it answers a later ping."""

    def __init__(self, line: Line, hand_over: Callable[[Frame], bool]) -> None:
        """Take a function that takes the errors which do not pass."""
        self._line = line
        self._hand_over = hand_over
        self._statuses: dict[str, _Status] = {}

    def add(self, message_id: str, status: str) -> None:
        """Tell the server, now or once there is a connection."""
        before = self._statuses.get(message_id)
        if before is None or before.status != "read":
            self._statuses[message_id] = _Status(status)
        self.connected()

    def connected(self) -> None:
        """Tell the server what it was not told over this connection."""
        if self._line.online:
            for message_id, status in list(self._statuses.items()):
                if not status.told:
                    self._tell(message_id, status)

    def cut(self) -> None:
        """What was told last may not have been read."""
        for status in self._statuses.values():
            status.told = 0

    def read_up_to(self, ref: int) -> None:
        """Forget what the server has read: all that was told before the question ``ref``."""
        for message_id, status in list(self._statuses.items()):
            if 0 < status.told <= ref:
                self._line.forget(status.told)
                del self._statuses[message_id]

    def _tell(self, message_id: str, status: _Status) -> None:
        def failed(error: Frame) -> None:
            if error["code"] in PASSING:
                status.told = 0
                self._line.loop.after(pause_after(error, 0), self.connected)
            else:
                self._statuses.pop(message_id, None)
                self._hand_over(error)

        frame = {"type": "status", "messageId": message_id, "status": status.status}
        status.told = self._line.ask(frame, failed)
