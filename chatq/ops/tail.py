"""Following a conversation: the event log of the database, read on whenever Redis says that something happened.

The numbers in the log alone decide what comes next. So nothing is missed, doubled or out of order, whatever
Redis, the database or the network do in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import redis
from sqlalchemy import Engine

from chatq.domain.messages import Message
from chatq.errors import DatabaseError, RedisError
from chatq.queue import keys
from chatq.queue.connection import translated
from chatq.store.event_log import payloads_after
from chatq.store.history import read_page

PAGE = 500
"""Events that are read at once."""
PATIENCE_SECONDS = 5.0
"""How long Redis may be silent before the log is read, and Redis asked whether it lives."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds between two attempts: twice as long each time, up to the longest."""

Say = Callable[[str], None]


class Start(NamedTuple):
    """Where following begins."""

    messages: list[Message]
    """The last ones, oldest first, as they are now."""
    position: int
    """The event number up to which they are true."""


def last_messages(engine: Engine, conversation_id: str, count: int) -> Start:
    """Return the last ``count`` messages of a conversation, and the event after which to go on.

    Raises:
        DatabaseError: the database cannot be used.
    """
    page = read_page(engine, conversation_id, limit=max(1, count))
    # One that was stored while this was read comes as an event.
    messages = [message for message in page.messages if message.seq <= page.seq]
    return Start(messages if count else [], page.seq)


class Follower:
    """Reads a conversation's events, and waits for more."""

    def __init__(
        self,
        open_redis: Callable[[], redis.Redis],
        engine: Engine,
        conversation_id: str,
        say: Say,
        *,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Take what the events come from.

        Args:
            open_redis: returns a client; asked again after each outage.
            engine: the database.
            conversation_id: need not exist yet.
            say: tells people of outages and their ends, once each.
            patience: how many seconds Redis may be silent.
        """
        self._engine = engine
        self._conversation_id = conversation_id
        self._channel = _Channel(open_redis, keys.conversation_channel(conversation_id), patience)
        self._redis = _Dependency("Redis", "the database is asked now and then", say)
        self._database = _Dependency("The database", "trying again", say)

    def follow(self, position: int) -> Iterator[list[str]]:
        """Yield the frames of the events after ``position``, in order, for ever; nothing at all now and then.

        One whose number is not the next one follows events that are not kept any more.
        """
        while True:
            try:
                payloads = payloads_after(self._engine, self._conversation_id, position, PAGE)
            except DatabaseError as error:
                self._database.lost(error.detail)
                yield []
                time.sleep(self._database.pause())
                continue
            self._database.back()
            if payloads:
                position = seq_of(payloads[-1])
            yield payloads
            if len(payloads) < PAGE:
                self._wait()

    def _wait(self) -> None:
        try:
            self._channel.wait()
        except RedisError as error:
            self._redis.lost(error.detail)
            time.sleep(self._redis.pause())
        else:
            self._redis.back()


def seq_of(payload: str) -> int:
    """Return the number of the event that this is the frame of."""
    return _numbered.decode(payload).seq


class _Numbered(msgspec.Struct):
    seq: int


_numbered = msgspec.json.Decoder(_Numbered)


class _Channel:
    """Waits for something to be published."""

    def __init__(self, open_redis: Callable[[], redis.Redis], name: str, patience: float) -> None:
        self._open_redis = open_redis
        self._name = name
        self._patience = patience
        self._pubsub: redis.client.PubSub | None = None
        self._asked = False
        """Whether Redis was asked for a sign of life and has given none."""

    def wait(self) -> None:
        """Return once something was published, or the channel is subscribed to anew, or nothing came for a while.

        Raises:
            RedisError: Redis is away.
        """
        try:
            with translated():
                self._listen()
        except RedisError:
            self._asked = False
            if (pubsub := self._pubsub) is not None:
                self._pubsub = None
                pubsub.close()
            raise

    def _listen(self) -> None:
        if self._pubsub is None:
            pubsub = self._open_redis().pubsub()
            pubsub.subscribe(self._name)
            self._pubsub = pubsub
        if self._pubsub.get_message(timeout=self._patience) is not None:
            self._asked = False
            # A burst is read from the log at once.
            while self._pubsub.get_message(timeout=0) is not None:
                pass
        elif self._asked:
            raise redis.TimeoutError("it gives no sign of life")
        else:
            self._asked = True
            self._pubsub.ping()


class _Dependency:
    """What is needed and may be away for a while."""

    def __init__(self, name: str, meanwhile: str, say: Say) -> None:
        self._name = name
        self._meanwhile = meanwhile
        self._say = say
        self._away = False
        self._pause = 0.0

    def lost(self, reason: str) -> None:
        """Tell people, unless they know."""
        if not self._away:
            self._away = True
            self._pause = _FIRST_PAUSE
            self._say(f"{reason} ({self._meanwhile})")

    def back(self) -> None:
        """Tell people, if they think that it is away."""
        if self._away:
            self._away = False
            self._say(f"{self._name} is back.")

    def pause(self) -> float:
        """Return the seconds until the next attempt."""
        pause = self._pause
        self._pause = min(2 * pause, _LONGEST_PAUSE)
        return pause
