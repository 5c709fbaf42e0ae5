"""One client's session: from ``hello`` to the end of its connection."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import redis
import structlog
from sqlalchemy import Engine

from chatq.domain.wire import encode
from chatq.errors import ChatqError
from chatq.realtime.client_frames import Auth, ClientFrame, Join, Leave, parse_object, read_frame
from chatq.realtime.connection import HEARTBEAT_SECONDS, Closed, Connection
from chatq.realtime.failures import tell_failures
from chatq.realtime.frames import CloseCode, text_frame
from chatq.realtime.hub import Hub
from chatq.realtime.room import NotKept
from chatq.store import reads

log = structlog.get_logger("chatq.realtime")


class Session:
    """Answers a client's frames, one after the other; nothing that a client says ends it but its own close."""

    def __init__(self, connection: Connection, hub: Hub, engine: Engine, client: redis.Redis) -> None:
        self._connection = connection
        self._hub = hub
        self._engine = engine
        self._redis = client
        self._user: str | None = None
        self._joined: dict[str, None] = {}

    def run(self) -> None:
        """Serve the client until its connection ends."""
        self._hub.enter(self._connection)
        try:
            self._say("hello", connectionId=str(uuid4()), heartbeatSeconds=HEARTBEAT_SECONDS, authRequired=False)
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
            self._hub.exit(self._connection)
            self._connection.finish()

    def _take(self, message: str | bytes) -> None:
        ref: object = None
        try:
            document = parse_object(message)
            ref = document.get("ref")
            self._answer(read_frame(document))
        except ChatqError as error:
            frame = {"code": error.code, "detail": error.detail}
            if isinstance(ref, str):
                frame["ref"] = ref[:128]
            self._say("error", **frame)

    def _answer(self, frame: ClientFrame) -> None:
        if isinstance(frame, Auth):
            self._authenticate(frame.user_id)
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

    def _authenticate(self, user_id: str) -> None:
        if self._user is not None:
            self._hub.leave_user(self._connection, self._user)
        self._user = user_id
        self._say("authenticated", userId=user_id)
        self._hub.follow_user(self._connection, user_id)
        tell_failures(self._connection, self._engine, self._redis, user_id)

    def _leave_all(self) -> None:
        for conversation_id in self._joined:
            self._hub.leave(self._connection, conversation_id)
        if self._user is not None:
            self._hub.leave_user(self._connection, self._user)

    def _say(self, kind: str, **fields: Any) -> None:
        self._connection.send(text_frame(encode({"type": kind, **fields})))
