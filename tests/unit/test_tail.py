"""Following a conversation over a network that swallows what is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from chatq.ops.tail import Follower
from chatq.queue.connection import connect
from tests.parts.installation import Installation
from tests.parts.proxy import Proxy
from tests.parts.valkey import Valkey


def test_a_redis_that_falls_silent_is_noticed(installation: Installation, valkey: Valkey, short_path: Path) -> None:
    said: list[str] = []
    with closing(Proxy(short_path / "proxy.sock", valkey.socket)) as proxy:
        # Given somebody who follows a conversation, and has nothing to wait for but the network
        follower = Follower(lambda: connect(proxy.url), installation.engine, "general", said.append, patience=0.1)
        events = follower.follow(0)
        assert [next(events), next(events)] == [[], []]
        # When the network swallows whatever is said, then an event comes late, but comes
        proxy.go_deaf()
        installation.send("hello")
        installation.work_off()
        assert '"content":"hello"' in next_of(events)
        # And the connection is given up for a new one
        while len(said) < 2:
            next(events)
        assert said == [
            "Redis does not answer: it gives no sign of life (the database is asked now and then)",
            "Redis is back.",
        ]


def next_of(events: Iterator[list[str]]) -> str:
    return next(payloads[0] for payloads in events if payloads)
