"""Is this Redis fit for chatq? Answers with a finding for each thing that was looked at."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from chatq.domain.wire import Wire
from chatq.ops.finding import Finding, Level
from chatq.ops.redis_access import explain, find_reason
from chatq.ops.redis_facts import gather
from chatq.ops.redis_fitness import judge
from chatq.queue.connection import connect
from chatq.settings import Durability, without_password

_PATIENCE = 2.0
"""Seconds that the server has for each answer; one that takes longer is no good for a queue."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts: twice as long each time, up to the longest."""


class Report(Wire):
    """Everything that was found about one Redis."""

    url: str
    """Which one it is, without its password."""
    fit: bool
    """Whether chatq can keep its promises there: no finding is a problem."""
    findings: list[Finding]


def check_redis(
    url: str,
    durability: Durability = "memory",
    *,
    wait: float = 0,
    on_wait: Callable[[Finding], None] | None = None,
) -> Report:
    """Look at the Redis at ``url`` and report.

    Args:
        url: which Redis; may contain its password.
        durability: what a 202 is to have survived there.
        wait: for how many seconds to try again while it cannot be reached or is still loading. A refused
            password is never waited for.
        on_wait: called once, with the reason, if it comes to waiting.

    Raises:
        BadSetting: ``url`` is no Redis URL.
    """
    deadline = time.monotonic() + wait
    delay = _FIRST_PAUSE
    with connect(url, timeout=_PATIENCE) as client:
        while True:
            findings, passes = _look(client, durability)
            left = deadline - time.monotonic()
            if not passes or left <= 0:
                fit = all(finding.level is not Level.PROBLEM for finding in findings)
                return Report(url=without_password(url), fit=fit, findings=findings)
            if on_wait is not None:
                on_wait(findings[0])
                on_wait = None
            time.sleep(min(delay, left))
            delay = min(delay * 2, _LONGEST_PAUSE)


def _look(client: redis.Redis, durability: Durability) -> tuple[list[Finding], bool]:
    """Return what is found now, and whether waiting may improve it."""
    try:
        return judge(gather(client), durability), False
    except (redis.RedisError, OSError) as error:
        reason = find_reason(error)
        return [explain(error, reason)], reason.passes
