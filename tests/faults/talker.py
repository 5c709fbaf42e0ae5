"""A conversation under load: one request after the other, each repeated until it is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from random import Random
from threading import Event

from chatq.domain.clock import timestamp
from tests.faults.client import Answer, Client, Request
from tests.faults.transcript import Said, Transcript

USERS = ("alice", "bob", "carol")
ACTIONS = {"send": 58, "edit": 14, "delete": 5, "mark": 11, "repeat": 12}
"""How often each is done, of a hundred times."""
RECENT = 12
"""Among so many of the newest messages is the one that something is done to."""
PACE = 0.06
"""Seconds at most between two requests."""


@dataclass(frozen=True, slots=True)
class Past:
    """A request that was accepted, and the ids in its answer."""

    request: Request
    message_id: str
    job_id: str


class Talker:
    """Talks in one conversation, as three users, until ``enough`` is set."""

    def __init__(self, conversation: str, ports: Sequence[int], random: Random, enough: Event) -> None:
        self.transcript = Transcript(conversation)
        self.journal: list[str] = []
        """What was asked and answered, for whoever looks for a fault."""
        self.requests = 0
        self.client = Client(ports)
        self._random = random
        self._enough = enough
        self._past: list[Past] = []

    def run(self) -> None:
        """Talk."""
        with closing(self.client):
            while not self._enough.wait(self._random.uniform(0, PACE)):
                self._act()

    def _act(self) -> None:
        self.requests += 1
        (action,) = self._random.choices(list(ACTIONS), list(ACTIONS.values()))
        if not self.transcript.messages or action == "send":
            self._send()
        elif action == "edit":
            self._edit(self._pick())
        elif action == "delete":
            self._delete(self._pick())
        elif action == "mark":
            self._mark(self._pick())
        else:
            self._repeat(self._random.choice(self._past))

    def _pick(self) -> Said:
        newest = list(self.transcript.messages.values())[-RECENT:]
        # Most of all the very newest, which waits in the queue still.
        return newest[-1] if self._random.random() < 0.3 else self._random.choice(newest)

    def _send(self) -> None:
        number = len(self.transcript.messages) + 1
        user, client_id = self._random.choice(USERS), f"{self.transcript.conversation}-{number}"
        content = f"message {number} of {user}"
        data = {"senderId": user, "content": content, "clientMessageId": client_id}
        body = {"conversationId": self.transcript.conversation, "messageData": data}
        past = self._ask(Request("POST", "/api/messages", body, user))
        self.transcript.sent(past.message_id, past.job_id, user, client_id, content)

    def _edit(self, message: Said) -> None:
        # Few contents, so that many an edit has no effect.
        content = f"edited {self._random.randrange(3)}"
        request = self._about(message, "PATCH", {"content": content})
        answer = self._answer(request)
        if message.deleted and answer.status == 409:
            return
        past = self._keep(request, answer)
        self.transcript.edited(message.id, self._maker(request, answer), content)
        assert past.message_id == message.id

    def _delete(self, message: Said) -> None:
        request = self._about(message, "DELETE", None)
        answer = self._answer(request)
        self._keep(request, answer)
        self.transcript.deleted(message.id, self._maker(request, answer))

    def _mark(self, message: Said) -> None:
        status = self._random.choice(["delivered", "read"])
        request = self._about(message, "PATCH", {"status": status})
        answer = self._answer(request)
        self._keep(request, answer)
        self.transcript.marked(message.id, self._maker(request, answer), status, request.user)

    def _repeat(self, past: Past) -> None:
        """Say once more what was said before, long ago or just now: nothing may come of it."""
        self.client.move()
        answer = self._answer(past.request)
        message = self.transcript.messages[past.message_id]
        if past.request.method == "PATCH" and message.deleted and answer.status == 409:
            return
        assert answer.status == 202, (past.request, answer)
        ids = (answer.document["messageId"], answer.document["jobId"])
        assert ids == (past.message_id, past.job_id), f"a repeat has other ids: {past}, {answer}"

    def _about(self, message: Said, method: str, body: dict[str, object] | None) -> Request:
        # Without a key, a repeat of what was not answered is another job that says the same.
        key = f"{self.transcript.conversation}-{self.requests}" if self._random.random() < 0.7 else None
        return Request(method, f"/api/messages/{message.id}", body, self._random.choice(USERS), key)

    def _ask(self, request: Request) -> Past:
        return self._keep(request, self._answer(request))

    def _answer(self, request: Request) -> Answer:
        asked = timestamp()
        answer = self.client.ask(request)
        self.journal.append(f"{asked} {request} {timestamp()} {answer}")
        return answer

    def _keep(self, request: Request, answer: Answer) -> Past:
        assert answer.status == 202, (request, answer)
        past = Past(request, answer.document["messageId"], answer.document["jobId"])
        if request.key is not None or request.method == "POST":
            self._past.append(past)
        return past

    def _maker(self, request: Request, answer: Answer) -> str | None:
        """Return the id of the job that did what was asked for, if only one can have done it."""
        return answer.document["jobId"] if request.key is not None or answer.tries == 1 else None
