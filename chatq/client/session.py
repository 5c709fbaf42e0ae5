"""One client's life, from connection to connection."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

from chatq.client.connection import ABNORMAL, Connection, Frame
from chatq.client.errors import PASSING, ClientClosed, ConnectionRefused, refusal
from chatq.client.following import Followings, Joined, OnEvent
from chatq.client.handing import Handing
from chatq.client.line import Line
from chatq.client.loop import Loop, Timer, backoff
from chatq.client.sending import Message, Sending
from chatq.client.statuses import Statuses
from chatq.client.tokens import Tokens
from chatq.errors import ChatqError, NotAuthenticated, TooLarge

State = Literal["connecting", "online", "offline", "closed"]

GREETING_SECONDS = 12.0
STEADY_SECONDS = 10.0
"""A connection that lasted for this long was a good one: the next failure is the first again."""
PATIENCE_SECONDS = 30.0
"""How long to stay away at least where one was too fast."""
TYPING_SECONDS = 3.0
"""How often those who write say so at most."""

_NUMBERED = frozenset(("newMessage", "messageEdited", "messageDeleted", "messageStatus"))
_UNAUTHENTICATED, _TOO_LARGE, _TOO_FAST = 4401, 4413, 4429

log = logging.getLogger("chatq.client")


class Session:
    """Keeps a connection, and brings what the server says to where it belongs.

    Everything but what :class:`~chatq.client.connection.Receiver` names runs in the loop's thread.
    """

    def __init__(
        self, url: str, get_token: Callable[[], str] | None, renewable: bool, user_id: str | None, handing: Handing
    ) -> None:
        """Take a function that returns a token, and whether it may return another one next time."""
        self.state: State = "connecting"
        self.user_id = user_id
        self.loop = Loop()
        self.tokens = Tokens(self.loop, get_token, renewable)
        self.line = Line(self.loop)
        self.followings = Followings(self.line, handing.hand_over)
        self.sending = Sending(self.line)
        self.statuses = Statuses(self.line, handing.hand_over)
        self.handing = handing
        self._url = url
        self._connection: Connection | None = None
        self.closing: threading.Thread | None = None
        """What ends the last connection."""
        self._attempt = 0
        self._online_since = float("inf")
        self._denied = False
        self._heard = True
        self._ping_ref = 0
        self._earlier_ping_ref = 0
        self._auth_ref = 0
        self._beat = 0.0
        self._error: ChatqError = ClientClosed()
        self._typing: dict[str, float] = {}
        """When it was last said where one is writing."""
        self._timers: dict[str, Timer] = {}
        self._answers: dict[str, Callable[[Frame], object]] = {
            "hello": self._greeted,
            "authenticated": self._authenticated,
            "joined": self.followings.joined,
            "pong": self._compare,
        }
        self._news: dict[str, Callable[[Frame], bool]] = {
            "left": self.followings.left,
            "messageFailed": self.sending.failed,
        }

    # --- connecting, and coming back -------------------------------------------------------------

    def run(self) -> None:
        """Live until :meth:`end`."""
        try:
            self.connect()
            self.loop.run()
        except Exception as error:
            # A fault of the client's own: who waits for answers is not to wait for ever.
            self.end(ChatqError(f"The client failed: {error}"))
            raise

    def connect(self) -> None:
        """Open a connection."""
        if self.state != "closed":
            self.state = "connecting"
            self._connection = Connection(self._url, self.tokens.get, self)

    def opened(self, connection: Connection, token: str | None) -> None:
        """Learn in the connection's thread that it is open."""
        self.loop.post(lambda: self._opened(connection, token))

    def received(self, connection: Connection, frame: Frame) -> None:
        """Take a frame in the connection's thread."""
        self.loop.post(lambda: self._take(frame) if connection is self._connection else None)

    def ended(self, connection: Connection, code: int, reason: str) -> None:
        """Learn in the connection's thread that it has ended."""
        self.loop.post(lambda: self._lost(code, reason) if connection is self._connection else None)

    def end(self, error: ChatqError | None) -> None:
        """End for good."""
        if self.state == "closed":
            return
        self._disconnect()
        self.state = "closed"
        self._error = error or ClientClosed()
        self.followings.end(self._error)
        self.sending.end(self._error)
        self.handing.end(error)
        self.loop.end()

    # --- what is asked of it ---------------------------------------------------------------------

    def join(self, conversation_id: str, since: int | None, on_event: OnEvent | None, outcome: Future[Joined]) -> None:
        """Follow a conversation."""
        if self.state == "closed":
            outcome.set_exception(self._error)
        else:
            self.followings.join(conversation_id, since, on_event, outcome)

    def send(self, message: Message) -> None:
        """Send a message."""
        if self.state == "closed":
            message.outcome.set_exception(self._error)
        else:
            self.sending.add(message)

    def say_typing(self, conversation_id: str, active: bool) -> None:
        """Say that one is writing, where there is a connection, and not over and over."""
        now = time.monotonic()
        if not self.line.online or (active and now - self._typing.get(conversation_id, 0.0) < TYPING_SECONDS):
            return
        self.line.tell({"type": "typing", "conversationId": conversation_id, "active": active})
        if active:
            self._typing[conversation_id] = now
        else:
            self._typing.pop(conversation_id, None)

    # --- connections -----------------------------------------------------------------------------

    def _opened(self, connection: Connection, token: str | None) -> None:
        if connection is not self._connection:
            connection.close()
            return
        self.tokens.current = token
        self.line.connect(connection)
        self._time("greeting", GREETING_SECONDS, lambda: self._lost(ABNORMAL, "no greeting"))

    def _lost(self, code: int, reason: str) -> None:
        self._disconnect()
        if time.monotonic() - self._online_since > STEADY_SECONDS:
            self._attempt = 0
        self._online_since = float("inf")
        pause = backoff(self._attempt)
        # Once in an outage it is said even to who has set no logging up: otherwise a program just stands still.
        level = logging.INFO if self._attempt else logging.WARNING
        self._attempt += 1
        # 44xx: not to come back unchanged. A new token is a change, and so is some patience, or one message less.
        if code == _UNAUTHENTICATED and self.tokens.renewable and not self._denied:
            self._denied = True
        elif code == _TOO_FAST:
            pause = PATIENCE_SECONDS * random.uniform(1, 3)  # noqa: S311  # spreads load, guards nothing
        elif code == _TOO_LARGE and self.sending.refuse_largest(TooLarge(reason)):
            pass
        elif 4400 <= code < 4500:
            self.end(ConnectionRefused(f"The server ended the connection: {reason or code}"))
            return
        self.state = "offline"
        log.log(level, "not connected (%s); trying again in %.1f s", reason or code, pause)
        self._time("retry", pause, self.connect)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self.closing = self._connection.close()
            self._connection = None
        for timer in self._timers.values():
            timer.cancel()
        self.tokens.stop()
        self.line.cut()
        self.followings.cut()
        self.sending.cut()
        self.statuses.cut()

    def _time(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """Have something called later, in place of what was to be called under that name."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self.loop.after(seconds, call)

    # --- what the server says --------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        self._heard = True
        kind = frame["type"]
        if kind in _NUMBERED:
            self.followings.take(frame)
        elif kind in self._answers:
            self._answers[kind](frame)
        elif not self.line.answer(frame) and (kind not in self._news or self._news[kind](frame)):
            self.handing.hand_over(frame)

    def _greeted(self, hello: Frame) -> None:
        self._timers["greeting"].cancel()
        self._beat = hello["heartbeatSeconds"]
        self._heard = True
        self._time("ping", random.uniform(0, self._beat), self._ping)  # noqa: S311  # spreads load
        if hello["authRequired"] and self.tokens.current is None:
            self.end(NotAuthenticated("This server wants a token."))
        elif hello["authRequired"]:
            self._authenticate(token=self.tokens.current)
        elif self.user_id is not None:
            self._authenticate(userId=self.user_id)
        else:
            self._authenticated({})

    def _authenticate(self, **credentials: str | None) -> None:
        def refused(error: Frame) -> None:
            code, detail = error["code"], error["detail"]
            if self.state == "online":
                # It stays so until the old token has expired.
                self.handing.hand_over(error)
            elif code == NotAuthenticated.code:
                self._lost(_UNAUTHENTICATED, detail)
            elif code in PASSING:
                self._lost(ABNORMAL, detail)
            else:
                self.end(refusal(code, detail))

        self.line.forget(self._auth_ref)
        self._auth_ref = self.line.ask({"type": "auth", **credentials}, refused)

    def _authenticated(self, frame: Frame) -> None:
        if self.user_id is None:
            self.user_id = frame.get("userId")
        self._denied = False
        self.tokens.watch(lambda token: self._authenticate(token=token))
        if self.state == "online":
            return
        self.state = "online"
        self._online_since = time.monotonic()
        self.line.online = True
        self.followings.connected()
        self.sending.connected()
        self.statuses.connected()

    def _compare(self, pong: Frame) -> None:
        # What was told just before a ping may be refused a while after its pong: where the server waits for Redis.
        self.statuses.read_up_to(self._earlier_ping_ref)
        self.followings.compare(pong["seqs"], self._ping_ref)

    # --- heartbeats ------------------------------------------------------------------------------

    def _ping(self) -> None:
        if not self._heard:
            self._lost(ABNORMAL, "the server is silent")
            return
        self._heard = False
        self._earlier_ping_ref, self._ping_ref = self._ping_ref, self.line.last_ref
        self.line.tell({"type": "ping"})
        self._time("ping", self._beat * random.uniform(0.75, 1), self._ping)  # noqa: S311  # spreads load
