"""One client's session: from ``hello`` to the end of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
import structlog
from sqlalchemy import Engine

from chatq.access.callers import Caller
from chatq.domain.wire import encode
from chatq.errors import ChatqError, Forbidden, NotAuthenticated
from chatq.realtime.client_frames import (
    DEVELOPMENT_KINDS,
    KINDS,
    Auth,
    ClientFrame,
    DevelopmentAuth,
    Join,
    Leave,
    Ping,
    parse_object,
    read_frame,
)
from chatq.realtime.connection import HEARTBEAT_SECONDS, Closed, Connection
from chatq.realtime.deadlines import Deadlines
from chatq.realtime.failures import tell_failures
from chatq.realtime.frames import CloseCode, text_frame
from chatq.realtime.hub import Hub
from chatq.realtime.room import NotKept
from chatq.store import reads

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens

AUTH_SECONDS = 10.0
"""Within so long a client has to say who it is."""

log = structlog.get_logger("chatq.realtime")


class Session:
    """Answers a client's frames, one after the other; nothing that a client says ends it but its own close."""

    def __init__(
        self,
        connection: Connection,
        hub: Hub,
        engine: Engine,
        client: redis.Redis,
        *,
        tokens: Tokens | None,
        deadlines: Deadlines,
    ) -> None:
        """Take what the session uses; ``tokens`` is None in development mode."""
        self.caller = None if tokens else Caller(None, verified=False)
        """Who is at the other end; None until it is known, and as long only ``auth`` and ``ping`` are answered."""
        self._connection = connection
        self._hub = hub
        self._engine = engine
        self._redis = client
        self._tokens = tokens
        self._deadlines = deadlines
        self._user: str | None = None
        """Whose own channel is followed."""
        self._joined: dict[str, None] = {}

    def run(self) -> None:
        """Serve the client until its connection ends."""
        self._hub.enter(self._connection)
        try:
            required = self._tokens is not None
            if required:
                self._deadlines.within(self._connection, AUTH_SECONDS, "no valid token came in time")
            self._say("hello", connectionId=str(uuid4()), heartbeatSeconds=HEARTBEAT_SECONDS, authRequired=required)
            while True:
                self._take(self._connection.receive())
        except Closed:
            pass
        except NotKept:
            self._connection.close(CloseCode.FAULT, "events were lost; reconnect and resume")
        except Exception:
            log.exception("unforeseen error in a session")
            self._connection.close(CloseCode.FAULT, "something went wrong on the server")
        finally:
            self._leave_all()
            self._deadlines.forget(self._connection)
            self._hub.exit(self._connection)
            self._connection.finish()

    def _take(self, message: str | bytes) -> None:
        ref: object = None
        try:
            document = parse_object(message)
            ref = document.get("ref")
            self._answer(read_frame(document, KINDS if self._tokens else DEVELOPMENT_KINDS))
        except ChatqError as error:
            frame = {"code": error.code, "detail": error.detail}
            if isinstance(ref, str):
                frame["ref"] = ref[:128]
            self._say("error", **frame)

    def _answer(self, frame: ClientFrame) -> None:
        if isinstance(frame, DevelopmentAuth):
            self._become(Caller(frame.user_id, verified=False))
        elif isinstance(frame, Auth) and self._tokens is not None:
            self._become(self._check(frame.token, self._tokens))
        elif self.caller is None and not isinstance(frame, Ping):
            raise NotAuthenticated("Say who you are first: `auth` with a token.")
        elif isinstance(frame, Join):
            self._joined.pop(frame.conversation_id, None)
            self._hub.join(self._connection, frame.conversation_id, frame.since)
            self._joined[frame.conversation_id] = None
        elif isinstance(frame, Leave):
            self._joined.pop(frame.conversation_id, None)
            self._hub.leave(self._connection, frame.conversation_id)
            self._say("left", conversationId=frame.conversation_id)
        else:
            self._say("pong", seqs=reads.last_seqs(self._engine, self._joined) if self._joined else {})

    def _become(self, caller: Caller) -> None:
        self.caller = caller
        user_id = caller.acting_as(None)
        self._say("authenticated", userId=user_id)
        if self._user != user_id:
            if self._user is not None:
                self._hub.leave_user(self._connection, self._user)
            self._user = user_id
            self._hub.follow_user(self._connection, user_id)
        tell_failures(self._connection, self._engine, self._redis, user_id)

    def _check(self, token: str, tokens: Tokens) -> Caller:
        """Return whose token it is, and let the connection last as long as the token."""
        caller = tokens.verify(token)
        if self.caller is not None and caller.user_id != self.caller.user_id:
            raise Forbidden(f"This connection is {self.caller.user_id!r}'s; another user needs another one.")
        if caller.expires_at is not None:
            self._deadlines.at(self._connection, caller.expires_at, "the token has expired")
        return caller

    def _leave_all(self) -> None:
        for conversation_id in self._joined:
            self._hub.leave(self._connection, conversation_id)
        if self._user is not None:
            self._hub.leave_user(self._connection, self._user)

    def _say(self, kind: str, **fields: Any) -> None:
        self._connection.send(text_frame(encode({"type": kind, **fields})))
