"""What API processes tell each other of a conversation beside its events: who types, and who is there.

It goes over the channel of the conversation's events, so that following a conversation costs no second
subscription. Redis keeps none of it, and nobody depends on any single piece.
"""

from __future__ import annotations

from collections import deque

import gevent
import msgspec
import redis
import structlog

from chatq.errors import RedisError
from chatq.queue import keys
from chatq.queue.connection import translated

MARK = b"~"
"""Begins what is no event; each piece is one line."""
_AT_ONCE = 500

log = structlog.get_logger("chatq.realtime")


class Typing(msgspec.Struct, tag="typing", array_like=True):
    """A user types, or does not any more."""

    user_id: str
    active: bool


class Moves(msgspec.Struct, tag="moves", array_like=True):
    """Who came to a process, and who left it; with ``ask``, every process is to say who is there."""

    process: str
    came: list[str]
    left: list[str]
    ask: bool


class Here(msgspec.Struct, tag="here", array_like=True):
    """Everybody who is there in a process."""

    process: str
    users: list[str]


Piece = Typing | Moves | Here

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Piece] = msgspec.json.Decoder(Piece)


def read_piece(line: bytes) -> Piece:
    """Return what a line that begins with :data:`MARK` says.

    Raises:
        msgspec.MsgspecError: it says nothing that is understood.
    """
    return _decoder.decode(line[len(MARK) :])


class Gossip:
    """Publishes in order, together what comes together; who tells something never waits."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._waiting: deque[tuple[str, bytes]] = deque()
        """All of a process's conversations at once, after Redis was away, and never for longer than Redis may take."""
        self._carrier: gevent.Greenlet | None = None
        """There only while something waits."""

    def tell(self, conversation_id: str, piece: Piece) -> None:
        """Tell all processes, this one as well, that have somebody in the conversation."""
        self._waiting.append((keys.conversation_channel(conversation_id), MARK + _encode(piece)))
        if self._carrier is None:
            self._carrier = gevent.spawn(self._carry)

    def _carry(self) -> None:
        try:
            while self._waiting:
                together = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
                try:
                    with translated(), self._client.pipeline(transaction=False) as pipe:
                        for channel, line in together:
                            pipe.publish(channel, line)
                        pipe.execute()
                except RedisError as error:
                    # It was of the moment; what matters is told again once the bus is restored.
                    self._waiting.clear()
                    log.debug("gossip was lost", reason=error.detail)
        finally:
            self._carrier = None
