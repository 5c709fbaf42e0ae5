"""What is asked over the present connection, and who waits for the answer."""

from __future__ import annotations

from collections.abc import Callable

from chatq.client.connection import Connection, Frame
from chatq.client.loop import Loop


class Line:
    """The present connection, where there is one, with its questions; answers carry a question's ``ref``."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.online = False
        """Whether the server knows who is there, and takes everything."""
        self.last_ref = 0
        self._connection: Connection | None = None
        self._asked: dict[str, Callable[[Frame], None]] = {}

    def connect(self, connection: Connection) -> None:
        """Use this connection from now on."""
        self._connection = connection

    def cut(self) -> None:
        """Forget the connection, and all that was asked over it."""
        self._connection = None
        self.online = False
        self._asked.clear()

    def tell(self, frame: Frame) -> None:
        """Send a frame."""
        if self._connection is not None:
            self._connection.send(frame)

    def ask(self, frame: Frame, take: Callable[[Frame], None]) -> int:
        """Send a frame, and return its ref; ``take`` is called with the answer."""
        self.last_ref += 1
        self._asked[str(self.last_ref)] = take
        self.tell({**frame, "ref": str(self.last_ref)})
        return self.last_ref

    def forget(self, ref: int) -> None:
        """Do not wait for an answer any more."""
        self._asked.pop(str(ref), None)

    def answer(self, frame: Frame) -> bool:
        """Hand an answer to who asked; return False if nobody did."""
        take = self._asked.pop(str(frame.get("ref")), None)
        if take is not None:
            take(frame)
        return take is not None
