"""A load: messages that are posted and, where somebody listens, heard, with the time that each step took."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count as counting

from gevent import sleep
from gevent.event import Event

from chatq.domain.clock import seconds
from chatq.domain.messages import Message
from chatq.domain.wire import parse
from chatq.errors import ChatqError, MalformedJson, RedisUnavailable
from chatq.ops.bench.http import Answer, HttpClient
from chatq.ops.bench.report import Section, latency
from chatq.ops.bench.together import together

PATIENCE_SECONDS = 30.0
"""How long nothing at all may arrive."""
_LOOK_SECONDS = 0.5
_CONTENT = "hello "

Check = Callable[[], None]
"""Raises ChatqError if a process that is needed has ended."""


class Load:
    """``messages`` messages to conversations in turn, each heard by so many ``hearers``."""

    def __init__(self, sender: str, conversations: Sequence[str], messages: int, *, hearers: int, check: Check) -> None:
        self._sender = sender
        self._conversations = conversations
        self._messages = messages
        self._hearers = hearers
        self._check = check
        self._posted = array("d", bytes(8 * messages))
        self._left = array("L", [hearers]) * messages
        self._unheard = messages * hearers
        self._everywhere: dict[int, Event] = {}
        self._all_heard = Event()
        self._accept, self._stored, self._delivered, self._total = (array("d") for _ in range(4))
        self._began = 0.0
        self._ended = 0.0

    def post(self, clients: Sequence[HttpClient], *, per_second: float | None = None, wait: bool = False) -> None:
        """Post all messages; each client begins with its next one as soon as it may.

        Args:
            clients: that post.
            per_second: how many are posted in a second; by default as many as possible.
            wait: whether a client waits until its message has been heard everywhere.

        Raises:
            ChatqError: a message was not accepted.
        """
        numbers = counting()
        self._began = time.perf_counter()

        def work(client: HttpClient) -> None:
            while (number := next(numbers)) < self._messages:
                if per_second is not None:
                    sleep(max(0.0, self._began + number / per_second - time.perf_counter()))
                if wait:
                    self._everywhere[number] = Event()
                self._post(client, number)
                if wait:
                    self._wait(self._everywhere[number])
                    del self._everywhere[number]

        together(partial(work, client) for client in clients)
        if not self._hearers:
            self._ended = time.perf_counter()

    def hear(self, message: Message) -> None:
        """Note that one of the hearers has got a message, and how long each stage took."""
        now = time.time()
        self.hear_only(message)
        persisted = seconds(message.persisted_at)
        self._stored.append(persisted - seconds(message.created_at))
        self._delivered.append(now - persisted)

    def hear_only(self, message: Message) -> None:
        """Note that one of the hearers has got a message."""
        now = time.perf_counter()
        number = int(str(message.content).removeprefix(_CONTENT))
        if not self._left[number]:
            # Events may come twice; receivers drop what they have.
            return
        self._ended = now
        self._total.append(now - self._posted[number])
        self._left[number] -= 1
        if not self._left[number] and number in self._everywhere:
            self._everywhere[number].set()
        self._unheard -= 1
        if not self._unheard:
            self._all_heard.set()

    def wait_until_heard(self) -> None:
        """Wait until every message has been heard by all.

        Raises:
            ChatqError: nothing has arrived for a long while.
        """
        self._wait(self._all_heard)

    def section(self) -> Section:
        """Return what was measured."""
        times = {"accept": self._accept, "stored": self._stored, "delivered": self._delivered, "total": self._total}
        done = self._messages * max(1, self._hearers)
        took = self._ended - self._began
        return Section(
            messages=self._messages,
            seconds=round(took, 4),
            rate=round(done / took, 1),
            unit="deliveries" if self._hearers > 1 else "messages",
            stages={stage: latency(taken) for stage, taken in times.items() if taken},
        )

    def _post(self, client: HttpClient, number: int) -> None:
        conversation = self._conversations[number % len(self._conversations)]
        # Ids and digits need no escaping in JSON.
        body = (
            f'{{"conversationId":"{conversation}",'
            f'"messageData":{{"senderId":"{self._sender}","content":"{_CONTENT}{number}"}}}}'
        ).encode()
        began = self._posted[number] = time.perf_counter()
        answer = client.request("POST", "/api/messages", body)
        self._accept.append(time.perf_counter() - began)
        if answer.status != 202:
            raise _refusal(answer)

    def _wait(self, event: Event) -> None:
        heard, since = self._unheard, time.monotonic()
        while not event.wait(_LOOK_SECONDS):
            self._check()
            if self._unheard != heard:
                heard, since = self._unheard, time.monotonic()
            elif time.monotonic() - since > PATIENCE_SECONDS:
                raise ChatqError(f"{heard} deliveries are missing, and none came for {PATIENCE_SECONDS:.0f} seconds.")


def _refusal(answer: Answer) -> ChatqError:
    """Return the error that an answer, a problem document, tells of."""
    try:
        problem = parse(answer.body)
    except MalformedJson:
        problem = {}
    detail = f"A message was not accepted: {answer.status} {problem.get('detail', '')}".strip()
    return RedisUnavailable(detail) if problem.get("code") == RedisUnavailable.code else ChatqError(detail)
