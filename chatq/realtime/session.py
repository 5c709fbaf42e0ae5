"""One client's session: from ``hello`` to the end of its connection."""

from __future__ import annotations

from uuid import uuid4

import gevent
import structlog

from chatq.access.callers import Caller
from chatq.access.rules import joins
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import DEVELOPMENT_USER, check_new
from chatq.domain.wire import encode
from chatq.errors import ChatqError, Forbidden, NotAuthenticated, TokenRefused
from chatq.realtime.client_frames import (
    DEVELOPMENT_LANGUAGE,
    LANGUAGE,
    Auth,
    DevelopmentAuth,
    Frame,
    Join,
    Leave,
    Mark,
    Ping,
    Send,
    Type,
    find_ref,
)
from chatq.realtime.connection import HEARTBEAT_SECONDS, Closed, Connection
from chatq.realtime.failures import tell_failures
from chatq.realtime.framing import CloseCode, text_frame
from chatq.realtime.marking import Refused, read_marks
from chatq.realtime.meter import Meter, TooFast
from chatq.realtime.room import NotKept
from chatq.realtime.sending import Order, error_frame
from chatq.realtime.server_frames import Authenticated, Hello, Left, Pong, ServerFrame
from chatq.realtime.shared import Shared
from chatq.store.event_log import last_seqs

AUTH_SECONDS = 10.0
"""Within so long a client has to say who it is."""

log = structlog.get_logger("chatq.realtime")


class Session:
    """Answers a client's frames, one after the other; nothing that a client says ends it but its own close."""

    __slots__ = ("_connection", "_marks", "_meter", "_orders", "_shared", "_user", "caller")

    def __init__(self, connection: Connection, shared: Shared) -> None:
        self.caller = None if shared.tokens else Caller(None, verified=False)
        """Who is at the other end; None until it is known, and as long only ``auth`` and ``ping`` are answered."""
        self._connection = connection
        self._shared = shared
        self._user: str | None = None
        """Whose own channel is followed."""
        self._orders: list[Order] = []
        self._marks: list[Mark] = []
        """What the messages that came together ask for."""
        self._meter = Meter(shared.limits, None if self.caller is None else DEVELOPMENT_USER)

    def run(self, handshake: bytes = b"") -> None:
        """Serve the client until its connection ends; with ``hello`` goes what is left of the handshake."""
        shared, connection = self._shared, self._connection
        required = shared.tokens is not None
        hello = Hello(connection_id=str(uuid4()), heartbeat_seconds=HEARTBEAT_SECONDS, auth_required=required)
        connection.send(handshake + text_frame(encode(hello)))
        shared.hub.enter(connection)
        try:
            if required:
                shared.deadlines.within(connection, AUTH_SECONDS, "no valid token came in time")
            while True:
                self._listen()
        except Closed:
            pass
        except NotKept:
            connection.close(CloseCode.FAULT, "events were lost; reconnect and resume")
        except Exception:
            log.exception("unforeseen error in a session")
            connection.close(CloseCode.FAULT, "something went wrong on the server")
        finally:
            self._leave_user()
            shared.deadlines.forget(connection)
            shared.hub.exit(connection)
            connection.finish()

    def _listen(self) -> None:
        """Take what comes next."""
        messages, frames = self._connection.receive()
        try:
            self._meter.count(frames)
            self._take(messages)
        except TooFast as error:
            self._connection.close(CloseCode.TOO_FAST, str(error))

    def _take(self, messages: list[str | bytes]) -> None:
        language = LANGUAGE if self._shared.tokens else DEVELOPMENT_LANGUAGE
        for message in messages:
            frame: Frame | None = None
            try:
                frame = language.read(message)
                if isinstance(frame, Send):
                    self._orders.append(self._order(frame))
                elif isinstance(frame, Mark):
                    self._known_caller()
                    self._marks.append(frame)
                else:
                    self._hand_in()
                    if message is not messages[0]:
                        # What asks the database is not to come in one go: many frames fit into one read.
                        gevent.sleep(0)
                    self._answer(frame)
            except ChatqError as error:
                self._connection.send(error_frame(error, frame.ref if frame else find_ref(message)))
                # Nothing slows one down who is refused, but others.
                self._hand_in()
                gevent.sleep(0)
        self._hand_in()

    def _order(self, frame: Send) -> Order:
        """Return the job that a ``send`` asks for."""
        caller, data = self._known_caller(), frame.message_data
        check_new(data, self._shared.max_content_bytes)
        data.sender_id = caller.acting_as(data.sender_id)
        self._shared.rules.check_sending(caller, frame.conversation_id)
        job = SendMessage(conversation_id=frame.conversation_id, message_data=data, joins=joins(caller))
        prepared = self._shared.intake.prepare(job, user=caller.counting_as(data.sender_id))
        return Order((frame.ref,), prepared, answered=True)

    def _hand_in(self) -> None:
        """Have everything accepted that was said so far."""
        if self._marks:
            self._mark()
        if self._orders:
            orders, self._orders = self._orders, []
            self._shared.sending.hand_in(self._connection, orders)

    def _mark(self) -> None:
        frames, self._marks = self._marks, []
        refused: list[Refused]
        try:
            orders, refused = read_marks(frames, self._known_caller(), self._shared)
            self._orders += orders
        except ChatqError as error:
            refused = [(frame, error) for frame in frames]
        for frame, reason in refused:
            self._connection.send(error_frame(reason, frame.ref))

    def _answer(self, frame: Frame) -> None:
        shared = self._shared
        if isinstance(frame, DevelopmentAuth):
            self._become(Caller(frame.user_id, verified=False))
        elif isinstance(frame, Auth):
            self._become(self._check(frame.token))
        elif isinstance(frame, Ping):
            joined = shared.hub.joined(self._connection)
            self._say(Pong(seqs=last_seqs(shared.engine, joined) if joined else {}))
        elif isinstance(frame, Join):
            self._join(frame)
        elif isinstance(frame, Leave):
            self._known_caller()
            shared.hub.leave(self._connection, frame.conversation_id)
            self._say(Left(conversation_id=frame.conversation_id))
        elif isinstance(frame, Type):
            caller = self._known_caller()
            shared.rules.check_sending(caller, frame.conversation_id)
            user = caller.acting_as(None)
            shared.hub.type(self._connection, frame.conversation_id, user, active=frame.active)

    def _join(self, frame: Join) -> None:
        caller = self._known_caller()
        self._meter.count_join()
        self._shared.rules.check_reading(caller, frame.conversation_id)
        # Nothing waits between what the rules say and the hub's taking note, so that no removal is missed.
        as_member = None if caller.unrestricted else caller.user_id
        self._shared.hub.join(
            self._connection, frame.conversation_id, frame.since, user=self._user, as_member=as_member
        )

    def _known_caller(self) -> Caller:
        """Return who is at the other end.

        Raises:
            NotAuthenticated: it is not known.
        """
        if self.caller is None:
            raise NotAuthenticated("Say who you are first: `auth` with a token.")
        return self.caller

    def _become(self, caller: Caller) -> None:
        self.caller = caller
        user_id = caller.acting_as(None)
        other = self._user != user_id
        if other:
            self._leave_user()
            self._user = user_id
            self._meter.become(user_id, limited=not caller.service)
        self._say(Authenticated(user_id=user_id))
        if other:
            self._shared.hub.follow_user(self._connection, user_id)
        if self._shared.failing.ask(user_id):
            tell_failures(self._connection, self._shared.engine, self._shared.redis, user_id)

    def _leave_user(self) -> None:
        if self._user is not None:
            self._connection.when_received(None)
            self._shared.hub.leave_user(self._connection, self._user)
            self._meter.leave(self._user)

    def _check(self, token: str) -> Caller:
        """Return whose token it is, and let the connection last as long as the token."""
        tokens = self._shared.tokens
        if tokens is None:
            raise AssertionError("in development mode nobody shows a token")
        try:
            caller = tokens.verify(token)
        except TokenRefused:
            self._meter.count_token(good=False)
            raise
        self._meter.count_token(good=True)
        before = self.caller
        if before is not None and caller.user_id != before.user_id:
            raise Forbidden(f"This connection is {before.user_id!r}'s; another user needs another one.")
        if before is not None and caller.service != before.service:
            raise Forbidden("This token has another scope than the one before; it needs another connection.")
        if caller.expires_at is not None:
            self._shared.deadlines.at(self._connection, caller.expires_at, "The token has expired.")
        return caller

    def _say(self, frame: ServerFrame) -> None:
        self._connection.send(text_frame(encode(frame)))
