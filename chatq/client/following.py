"""What is followed, and up to where: every event once, in order, and none missing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from chatq.client.connection import Frame
from chatq.client.errors import PASSING, pause_after, refusal
from chatq.client.line import Line
from chatq.errors import ChatqError, Forbidden

OVERTAKEN_SECONDS = 1.0
"""How long an event may take from the database to here before it counts as lost."""

OnEvent = Callable[[Frame], object]


@dataclass(frozen=True, slots=True)
class Joined:
    """The server's answer to a join."""

    seq: int
    """The conversation's newest event number."""
    recovered: bool
    """Whether every event after ``since`` follows; if not, the conversation has to be loaded anew."""


@dataclass
class Following:
    """A conversation that is followed."""

    position: int | None
    """Number of the last event that was handed out; None until the first join is answered."""
    on_event: OnEvent | None
    waiting: list[Future[Joined]]
    """Who waits for the answer to the first join."""
    attempt: int = 0
    behind: bool = False
    """Whether events were left out because whoever takes them is slow."""


class Followings:
    """All conversations of a client, through all its connections."""

    def __init__(self, line: Line, hand_over: Callable[[Frame, OnEvent | None], bool]) -> None:
        """Take a function that takes a numbered event, or returns False if there is no room at present."""
        self._line = line
        self._hand_over = hand_over
        self._followed: dict[str, Following] = {}
        self._joins: dict[str, list[int]] = {}
        """Joins that are not answered yet."""
        self._leaving: list[str] = []

    def join(self, conversation_id: str, since: int | None, on_event: OnEvent | None, outcome: Future[Joined]) -> None:
        """Follow a conversation, or follow it anew."""
        before = self._followed.get(conversation_id)
        waiting = [*(before.waiting if before is not None else ()), outcome]
        following = self._followed[conversation_id] = Following(since, on_event, waiting)
        if self._line.online:
            self._join(conversation_id, following)

    def leave(self, conversation_id: str, error: ChatqError) -> None:
        """Follow a conversation no more."""
        self._end(conversation_id, error)
        if self._line.online:
            self._leaving.append(conversation_id)
            self._line.tell({"type": "leave", "conversationId": conversation_id})

    def connected(self) -> None:
        """Join everything, each after the last event that is here."""
        for conversation_id, following in self._followed.items():
            self._join_again(conversation_id, following)

    def cut(self) -> None:
        """No answer will come any more."""
        self._joins.clear()
        self._leaving.clear()

    def end(self, error: ChatqError) -> None:
        """Follow nothing any more."""
        for conversation_id in list(self._followed):
            self._end(conversation_id, error)

    def joined(self, frame: Frame) -> None:
        """Take the answer to the oldest join."""
        conversation_id = frame["conversationId"]
        following = self._followed.get(conversation_id)
        if not self._answered(conversation_id) or following is None:
            return  # it was left, or another join was sent since
        following.attempt = 0
        if following.position is None or not frame["recovered"]:
            following.position = frame["seq"]
        for outcome in following.waiting:
            outcome.set_result(Joined(frame["seq"], frame["recovered"]))
        following.waiting.clear()
        if not frame["recovered"]:
            reset = {"type": "reset", "conversationId": conversation_id, "seq": frame["seq"]}
            self._hand_over(reset, following.on_event)

    def left(self, frame: Frame) -> bool:
        """Take the news that a conversation is not followed any more; return whether it is news."""
        conversation_id = frame["conversationId"]
        if conversation_id in self._leaving:
            self._leaving.remove(conversation_id)
            return False
        self._end(conversation_id, Forbidden("You are not a member of this conversation any more."))
        return True

    def take(self, event: Frame) -> None:
        """Hand out an event that is the next one."""
        conversation_id = event["conversationId"]
        following = self._followed.get(conversation_id)
        if following is None or following.position is None or following.behind or event["seq"] <= following.position:
            return
        if event["seq"] > following.position + 1:
            self._join_again(conversation_id, following)
        elif self._hand_over(event, following.on_event):
            following.position = event["seq"]
        else:
            following.behind = True

    def room(self) -> None:
        """Fetch what was left out while there was no room for it."""
        for conversation_id, following in self._followed.items():
            if following.behind:
                following.behind = False
                self._join_again(conversation_id, following)

    def compare(self, marks: dict[str, int], asked: int) -> None:
        """Look for what is missing.

        Args:
            marks: the newest number of each conversation, as the server said.
            asked: the last ref before it was asked for them.
        """
        for conversation_id, following in self._followed.items():
            mark, position = marks.get(conversation_id), following.position
            joins = self._joins.get(conversation_id)
            if joins is not None:
                # Frames are answered in order: a join that was sent before was answered, and the answer lost.
                if joins[-1] <= asked:
                    del self._joins[conversation_id]
                    self._join(conversation_id, following)
            elif position != mark:
                self._line.loop.after(OVERTAKEN_SECONDS, self._later(conversation_id, following, mark))

    def _later(self, conversation_id: str, following: Following, mark: int | None) -> Callable[[], None]:
        """Return what joins again if something is missing once what was on its way has had time to arrive.

        A position above the database's that stays there belongs to a history that was replaced.
        """
        before = following.position

        def catch_up() -> None:
            if mark is None or following.position is None or following.position < mark or following.position == before:
                self._join_again(conversation_id, following)

        return catch_up

    def _join(self, conversation_id: str, following: Following) -> None:
        def refused(error: Frame) -> None:
            self._answered(conversation_id, ref)
            if error["code"] in PASSING:
                pause = pause_after(error, following.attempt)
                self._line.loop.after(pause, lambda: self._join_again(conversation_id, following))
                following.attempt += 1
            elif self._followed.get(conversation_id) is following:
                self._hand_over({**error, "conversationId": conversation_id}, following.on_event)
                self._end(conversation_id, refusal(error["code"], error["detail"]))

        frame: Frame = {"type": "join", "conversationId": conversation_id}
        if following.position is not None:
            frame["since"] = following.position
        ref = self._line.ask(frame, refused)
        self._joins.setdefault(conversation_id, []).append(ref)

    def _join_again(self, conversation_id: str, following: Following) -> None:
        wanted = self._followed.get(conversation_id) is following and conversation_id not in self._joins
        if wanted and self._line.online and not following.behind:
            self._join(conversation_id, following)

    def _answered(self, conversation_id: str, ref: int | None = None) -> bool:
        """A join, by default the oldest, is answered: return whether there is no other."""
        refs = self._joins.get(conversation_id, [])
        if refs:
            answered = refs[0] if ref is None else ref
            refs.remove(answered)
            self._line.forget(answered)
        if not refs:
            self._joins.pop(conversation_id, None)
        return not refs

    def _end(self, conversation_id: str, error: ChatqError) -> None:
        following = self._followed.pop(conversation_id, None)
        for outcome in following.waiting if following is not None else ():
            outcome.set_exception(error)
