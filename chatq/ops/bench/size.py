"""How much a run does."""

from __future__ import annotations

CONNECTIONS = 32
"""Keep-alive connections that post."""
CONVERSATIONS = 20
"""Conversations that the messages go to in turn; one websocket listens to each."""
SOCKETS = 200
"""Websockets in the one conversation of the fan-out."""
PER_SECOND = 100
"""Messages a second where the rate is given."""
QUEUED_TIMES = 3
"""For each message that is posted without a worker, so many more are enqueued before the worker starts."""
PACED_SECONDS = 5
FANNED_SHARE = 20
"""One of so many messages goes to the conversation of the fan-out."""
WARM_SHARE = 10
"""Before anything is measured, one of so many messages is sent and not counted."""


class Size:
    """The numbers of messages of a run, of which the user chooses one."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.warm = min(500, max(messages // WARM_SHARE, CONNECTIONS))
        self.queued = messages * QUEUED_TIMES
        self.paced = min(messages, PER_SECOND * PACED_SECONDS)
        self.fanned = max(messages // FANNED_SHARE, 5)

    @property
    def depth(self) -> int:
        """How many messages wait in the queue at most."""
        return self.warm + self.messages + self.queued
