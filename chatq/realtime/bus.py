"""The bus: what workers publish in Redis, as it reaches this process, over one connection.

It reconnects by itself. Redis keeps nothing for those who are away: whoever depends on every message has
to look for what it missed whenever the bus is restored.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import gevent
import redis
import structlog
from gevent.event import Event
from gevent.lock import RLock

from chatq.errors import RedisError
from chatq.queue.connection import translated

SETTLE_SECONDS = 3.0
"""How long a subscriber waits for Redis to confirm; afterwards Redis counts as away."""
CONNECT_SECONDS = 5.0
"""How long Redis may take to greet a new connection."""
PING_SECONDS = 5.0
"""How long nothing may be heard before Redis is asked whether it lives."""
MAX_PAUSE_SECONDS = 1.0
_CHANNELS_AT_ONCE = 500
_ITEMS_AT_ONCE = 500
"""How much is taken before it is handed over; what came on one channel, at once: a burst costs few writes."""

log = structlog.get_logger("chatq.realtime")


class Receiver(Protocol):
    """Who takes what comes over the bus; no method may wait for long."""

    def receive(self, channel: str, payload: bytes) -> None:
        """Take what was published on a channel: one or more publications, a line or several each."""

    def lost(self) -> None:
        """Learn that messages are missed from now on, or were already."""

    def restored(self) -> None:
        """Learn that all channels are subscribed to again, and that messages may have been missed before."""


class Bus:
    """Subscribes to channels while somebody wants them."""

    def __init__(self, client: redis.Redis, receiver: Receiver, *, urgent: str = "") -> None:
        """Take a client of its own; it connects when the first channel is wanted.

        What comes on the ``urgent`` channel is handed over before all that came at about the same time on others.
        """
        self._client = client
        self._receiver = receiver
        self._urgent = urgent
        self._wanted: dict[str, Event] = {}
        """Channels, each with an event that is set once Redis has confirmed it or is known to be away."""
        self._unsaid: dict[str, str] = {}
        """Channels of which Redis is still to be told, each with the command."""
        self._sayer: gevent.Greenlet | None = None
        """Tells it; there only while there is something to tell."""
        self._asked: Counter[str] = Counter()
        """Subscriptions that are not confirmed yet on the present connection."""
        self._connection: Any = None
        self._away = False
        self._sending = RLock()
        self._reader: gevent.Greenlet | None = None

    def subscribe(self, channel: str) -> None:
        """Want a channel, and wait until everything that is published on it from now on arrives.

        While Redis is away there is nothing to wait for: the channel is subscribed to with all others
        before the bus is restored.
        """
        if self._reader is None:
            self._reader = gevent.spawn(self._run)
        settled = self._wanted.get(channel)
        if settled is None:
            settled = self._wanted[channel] = Event()
            if self._unsaid.pop(channel, None) is None:
                self._asked[channel] += 1
                self._say(channel, "SUBSCRIBE")
            elif channel not in self._asked:
                # Redis was not told yet that it was wanted no more: it is subscribed to.
                settled.set()
        if not self._away:
            settled.wait(SETTLE_SECONDS)

    def unsubscribe(self, channel: str) -> None:
        """Want a channel no more."""
        if self._wanted.pop(channel, None) is None:
            return
        if self._unsaid.pop(channel, None) is None:
            self._say(channel, "UNSUBSCRIBE")
        else:
            self._confirm(channel)

    def _run(self) -> None:
        pause = 0.05
        while True:
            try:
                with translated():
                    self._connect()
                    pause = 0.05
                    self._read()
            except RedisError as error:
                self._lost(error.detail)
            except Exception as error:
                # Deaf for good would be worse than anything.
                log.exception("unforeseen error on the bus")
                self._lost(str(error))
            gevent.sleep(random.uniform(pause / 2, pause))  # noqa: S311  # spreads load, guards nothing
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def _connect(self) -> None:
        with gevent.Timeout(CONNECT_SECONDS, redis.TimeoutError("no answer to a new connection")):
            connection = self._client.connection_pool.get_connection()
        channels = list(self._wanted)
        self._asked = Counter(channels)
        self._unsaid.clear()
        self._connection = connection
        self._send_in_parts("SUBSCRIBE", channels)
        if self._away:
            log.info("the bus is connected again", channels=len(channels))
        self._away = False
        if not channels:
            self._receiver.restored()

    def _read(self) -> None:
        waiting = bool(self._asked)
        silent = False
        while True:
            try:
                item = self._connection.read_response(timeout=PING_SECONDS, disconnect_on_error=False)
            except redis.TimeoutError:
                if silent:
                    raise
                silent = True
                self._send("PING")
                continue
            silent = False
            self._hand_over(self._take_all(item))
            if waiting and not self._asked:
                waiting = False
                self._receiver.restored()

    def _take_all(self, item: object) -> dict[str, list[bytes]]:
        """Take what was read, and what else is there already; return what was published, by channel."""
        arrived: dict[str, list[bytes]] = {}
        self._take(arrived, item)
        for _ in range(_ITEMS_AT_ONCE):
            try:
                self._take(arrived, self._connection.read_response(timeout=0, disconnect_on_error=False))
            except redis.RedisError:
                # There is no more. Or the connection is broken, as the next to read it finds out.
                break
        return arrived

    def _take(self, arrived: dict[str, list[bytes]], item: object) -> None:
        if not isinstance(item, list) or len(item) != 3 or item[1] is None:
            # The answer to a ping has two parts.
            return
        kind, channel, payload = item
        name = channel.decode()
        if kind == b"message" and isinstance(payload, bytes):
            arrived.setdefault(name, []).append(payload)
        elif kind == b"subscribe":
            self._confirm(name)

    def _hand_over(self, arrived: dict[str, list[bytes]]) -> None:
        for name, payloads in sorted(arrived.items(), key=lambda item: item[0] != self._urgent):
            try:
                self._receiver.receive(name, b"\n".join(payloads))
            except Exception:
                # One conversation's trouble is not to stop all others.
                log.exception("what came over the bus could not be delivered", channel=name)
            # A burst is not to keep everything else in this process waiting.
            gevent.sleep(0)
        if not arrived:
            gevent.sleep(0)

    def _confirm(self, channel: str) -> None:
        self._asked[channel] -= 1
        if self._asked[channel] <= 0:
            del self._asked[channel]
            if (settled := self._wanted.get(channel)) is not None:
                settled.set()

    def _say(self, channel: str, command: str) -> None:
        self._unsaid[channel] = command
        if self._sayer is None:
            # With what others, who are about to run, want or want no more.
            self._sayer = gevent.spawn(self._say_all)

    def _say_all(self) -> None:
        try:
            while self._unsaid:
                unsaid, self._unsaid = self._unsaid, {}
                self._send_in_parts("SUBSCRIBE", [name for name, said in unsaid.items() if said == "SUBSCRIBE"])
                # What is wanted again by now is not to be lost to a new connection, which has subscribed to it.
                unwanted = [name for name, said in unsaid.items() if said == "UNSUBSCRIBE" and name not in self._wanted]
                self._send_in_parts("UNSUBSCRIBE", unwanted)
        finally:
            self._sayer = None

    def _send_in_parts(self, command: str, channels: Sequence[str]) -> None:
        for at in range(0, len(channels), _CHANNELS_AT_ONCE):
            self._send(command, *channels[at : at + _CHANNELS_AT_ONCE])

    def _send(self, *command: str) -> None:
        connection = self._connection
        if connection is None:
            return
        with self._sending:
            try:
                connection.send_command(*command)
            except (redis.RedisError, OSError) as error:
                # The reader meets the same fault, and reconnects.
                log.debug("could not write to the bus", reason=str(error))

    def _lost(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)
        if not self._away:
            log.warning("the bus is down; events are read from the database once it is back", reason=reason)
        self._away = True
        self._receiver.lost()
        for settled in self._wanted.values():
            settled.set()
