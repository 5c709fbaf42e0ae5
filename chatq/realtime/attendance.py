"""Who is there in one conversation: here, in other processes, and as its followers were told."""

from __future__ import annotations

from collections.abc import Iterator

from chatq.domain.wire import encode
from chatq.realtime.framing import text_frame
from chatq.realtime.gossip import Here, Moves
from chatq.realtime.server_frames import Presence

MAX_TOLD = 200
"""How many users of a conversation clients are told of: who joins a crowd is not to be told of all of it."""


class Attendance:
    """One conversation's, as long as somebody follows it here.

    Changes are collected, and told from time to time: who comes and goes within a moment is not worth a word.
    """

    __slots__ = ("_changed", "_elsewhere", "_here", "_roll", "_told", "conversation_id", "to_announce", "to_ask")

    def __init__(self, conversation_id: str) -> None:
        self.conversation_id = conversation_id
        self.to_announce = False
        """Whether other processes are to be told of everybody here."""
        self.to_ask = True
        """Whether they are to be asked who is there in theirs."""
        self._here: dict[str, int] = {}
        """This process's users, with the number of their sockets."""
        self._changed: dict[str, bool] = {}
        """Who came or left here since that was last told to other processes."""
        self._elsewhere: dict[str, tuple[set[str], int]] = {}
        """Other processes' users, and in which era they were last heard of as a whole."""
        self._told: dict[str, None] = {}
        """Whom the followers here know to be there."""
        self._roll: bytes | None = None
        """The frames that say so, while they are up to date and have been asked for."""

    @property
    def processes(self) -> Iterator[str]:
        """The other processes in which somebody is there."""
        return iter(self._elsewhere)

    def enter(self, user_id: str) -> None:
        """A socket of a user has joined."""
        self._here[user_id] = sockets = self._here.get(user_id, 0) + 1
        if sockets == 1 and self._changed.pop(user_id, None) is None:
            self._changed[user_id] = True

    def leave(self, user_id: str) -> None:
        """A socket of a user that had joined has left."""
        self._here[user_id] -= 1
        if not self._here[user_id]:
            del self._here[user_id]
            if self._changed.pop(user_id, None) is None:
                self._changed[user_id] = False

    def hear(self, piece: Moves | Here, era: int) -> None:
        """Take what another process tells of its users."""
        users, before = self._elsewhere.get(piece.process, (set(), era))
        if isinstance(piece, Here):
            users, before = set(piece.users), era
        else:
            users = (users | set(piece.came)) - set(piece.left)
        if users:
            self._elsewhere[piece.process] = (users, before)
        else:
            self._elsewhere.pop(piece.process, None)

    def lose(self, process: str) -> bool:
        """Forget a process that is gone; return whether anybody was there in it."""
        return self._elsewhere.pop(process, None) is not None

    def lose_before(self, era: int) -> bool:
        """Forget the processes of which nothing was heard since an era began; return whether there were any."""
        gone = [process for process, (_, heard) in self._elsewhere.items() if heard < era]
        for process in gone:
            del self._elsewhere[process]
        return bool(gone)

    def take_news(self, process: str) -> Iterator[Moves | Here]:
        """Return what other processes are to be told now, by the process that this one is."""
        came = [user for user, here in self._changed.items() if here]
        left = [user for user, here in self._changed.items() if not here]
        announce, ask = self.to_announce, self.to_ask
        self.to_announce = self.to_ask = False
        self._changed = {}
        if announce and self._here:
            yield Here(process, list(self._here))
            came = left = []
        if came or left or ask:
            yield Moves(process, came, left, ask)

    def take_frames(self) -> dict[str, bytes]:
        """Return what the followers here are to be told now, by the user whom it is about."""
        present = self._here.keys() | {user for users, _ in self._elsewhere.values() for user in users}
        frames = {}
        for user in [user for user in self._told if user not in present]:
            del self._told[user]
            frames[user] = self._frame(user, online=False)
        if len(present) > len(self._told):
            for user in present:
                if len(self._told) == MAX_TOLD:
                    break
                if user not in self._told:
                    self._told[user] = None
                    frames[user] = self._frame(user, online=True)
        if frames:
            self._roll = None
        return frames

    def roll(self, without: str | None) -> bytes:
        """Return the frames that tell a new follower who is there; a user is not told of themselves."""
        if without in self._told:
            return b"".join(self._frame(user, online=True) for user in self._told if user != without)
        if self._roll is None:
            self._roll = b"".join(self._frame(user, online=True) for user in self._told)
        return self._roll

    def _frame(self, user_id: str, *, online: bool) -> bytes:
        return text_frame(encode(Presence(conversation_id=self.conversation_id, user_id=user_id, online=online)))
