"""What may still be sent, in headers (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from functools import lru_cache

from chatq.domain.rate import Usage
from chatq.errors import RateLimited
from chatq.web.answers import Header


def usage_headers(usage: Usage) -> list[Header]:
    """Return what is left of the quota, and in how many seconds it is whole again."""
    rate = usage.rate
    left = ("RateLimit", f'"messages";r={usage.remaining};t={usage.whole_seconds}')
    return [_policy(rate.count, rate.seconds), left]


def refusal_headers(error: RateLimited) -> list[Header]:
    """Return that nothing is left, and when there is something again."""
    headers = [("Retry-After", str(error.retry_after))]
    if error.quota:
        left = ("RateLimit", f'"messages";r=0;t={error.retry_after}')
        headers += [_policy(error.quota, error.window_seconds), left]
    return headers


@lru_cache(maxsize=8)
def _policy(quota: int, seconds: float) -> Header:
    return "RateLimit-Policy", f'"messages";q={quota};w={seconds:.0f}'
