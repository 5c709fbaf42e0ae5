"""What all sessions of a process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from sqlalchemy import Engine

from chatq.access.limits import Limits
from chatq.access.rules import Rules
from chatq.queue.intake import Intake
from chatq.realtime.deadlines import Deadlines
from chatq.realtime.hub import Hub
from chatq.realtime.questions import Questions
from chatq.realtime.sending import Sending

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Shared:
    """Made once in a process."""

    hub: Hub
    intake: Intake
    sending: Sending
    failing: Questions[str, bool]
    """Whether there are failures of a user's messages of which the user was not told yet."""
    engine: Engine
    redis: redis.Redis
    """A client for short questions."""
    rules: Rules
    tokens: Tokens | None
    """What checks tokens; None in development mode."""
    deadlines: Deadlines
    limits: Limits | None
    """None if users may do as much as they like."""
    max_content_bytes: int
