"""What is to be sent: each conversation's messages one after the other, each until it is accepted or refused."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from chatq.client.connection import Frame
from chatq.client.errors import PASSING, pause_after, refusal
from chatq.client.line import Line
from chatq.client.loop import Timer
from chatq.errors import ChatqError

ANSWER_SECONDS = 15.0
"""How long an answer may take before the message is sent again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server's promise that a message will be stored, or reported as failed."""

    message_id: str
    job_id: str
    client_message_id: str


@dataclass(eq=False)
class Message:
    """A message on its way."""

    conversation_id: str
    data: dict[str, Any]
    """Its ``messageData``."""
    outcome: Future[Accepted] = field(default_factory=Future)


@dataclass
class _Queue:
    messages: deque[Message] = field(default_factory=deque)
    timer: Timer | None = None
    """Until the answer to the first message is overdue, or it is sent again."""
    ref: int = 0
    attempt: int = 0


class Sending:
    """All messages of a client that are not answered, through all its connections.

    Of each conversation only the first is on its way: a later one never overtakes one that has to be sent again.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._queues: dict[str, _Queue] = {}
        self._failed: set[str] = set()
        """Messages whose failure was told."""

    def add(self, message: Message) -> None:
        """Send a message once all earlier ones of its conversation are answered."""
        queue = self._queues.setdefault(message.conversation_id, _Queue())
        queue.messages.append(message)
        self._pump(message.conversation_id, queue)

    def withdraw(self, message: Message) -> None:
        """Do not send a message any more; it may be on its way already."""
        queue = self._queues.get(message.conversation_id)
        if queue is None or message not in queue.messages:
            return
        if queue.messages[0] is message:
            self._stop(queue)
        queue.messages.remove(message)
        self._pump(message.conversation_id, queue)

    def connected(self) -> None:
        """Send what waits."""
        for conversation_id, queue in list(self._queues.items()):
            self._pump(conversation_id, queue)

    def cut(self) -> None:
        """No answer will come any more."""
        for queue in self._queues.values():
            self._stop(queue)

    def refuse_largest(self, error: ChatqError) -> bool:
        """Give up the largest of the messages that may have been on their way; return False if there is none."""
        waiting = [queue for queue in self._queues.values() if queue.messages]
        if not waiting:
            return False
        queue = max(waiting, key=lambda queue: len(json.dumps(queue.messages[0].data)))
        queue.attempt = 0
        queue.messages.popleft().outcome.set_exception(error)
        return True

    def end(self, error: ChatqError) -> None:
        """Give everything up."""
        self.cut()
        for queue in self._queues.values():
            for message in queue.messages:
                message.outcome.set_exception(error)
        self._queues.clear()

    def failed(self, frame: Frame) -> bool:
        """Take the news that a message failed; return whether it is news: each authentication may bring it again."""
        known = frame["messageId"] in self._failed
        self._failed.add(frame["messageId"])
        return not known

    def _pump(self, conversation_id: str, queue: _Queue) -> None:
        if not queue.messages:
            self._queues.pop(conversation_id, None)
            return
        if queue.timer is not None or not self._line.online:
            return
        message = queue.messages[0]
        frame = {"type": "send", "conversationId": conversation_id, "messageData": message.data}
        queue.ref = self._line.ask(frame, lambda answer: self._answered(queue, message, answer))
        self._again_in(ANSWER_SECONDS, conversation_id, queue)

    def _answered(self, queue: _Queue, message: Message, answer: Frame) -> None:
        self._stop(queue)
        if answer["type"] == "error" and answer["code"] in PASSING:
            self._again_in(pause_after(answer, queue.attempt), message.conversation_id, queue)
            queue.attempt += 1
            return
        queue.messages.popleft()
        queue.attempt = 0
        if answer["type"] == "error":
            message.outcome.set_exception(refusal(answer["code"], answer["detail"]))
        else:
            client_message_id = message.data["clientMessageId"]
            self._failed.discard(answer["messageId"])
            message.outcome.set_result(Accepted(answer["messageId"], answer["jobId"], client_message_id))
        self._pump(message.conversation_id, queue)

    def _again_in(self, seconds: float, conversation_id: str, queue: _Queue) -> None:
        def again() -> None:
            self._stop(queue)
            self._pump(conversation_id, queue)

        queue.timer = self._line.loop.after(seconds, again)

    def _stop(self, queue: _Queue) -> None:
        if queue.timer is not None:
            queue.timer.cancel()
            queue.timer = None
        self._line.forget(queue.ref)
