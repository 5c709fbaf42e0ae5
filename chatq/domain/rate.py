"""How much somebody may do in a while: the generic cell rate algorithm (GCRA), a bucket that fills again evenly.

Times are whole microseconds, so that Python and Redis count alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` things at once, and from then on one more whenever its share of ``seconds`` has passed."""

    count: int
    seconds: float
    share: int = field(init=False, repr=False)
    """Microseconds of the allowance that one thing uses up."""
    whole: int = field(init=False, repr=False)
    """Microseconds of the allowance that there are at most."""

    def __post_init__(self) -> None:
        share = max(1, int(self.seconds * MICROSECONDS) // self.count)
        object.__setattr__(self, "share", share)
        object.__setattr__(self, "whole", share * self.count)

    def times(self, factor: int, at_least: Rate) -> Rate:
        """Return a rate that allows ``factor`` times as much, but never less, at once or a second, than another."""
        count = max(self.count * factor, at_least.count)
        a_second = max(self.count * factor / self.seconds, at_least.count / at_least.seconds)
        return Rate(count, count / a_second)


class Usage(NamedTuple):
    """What somebody has used up of an allowance and not got back yet."""

    rate: Rate
    used: int
    """Microseconds."""

    @property
    def remaining(self) -> int:
        """How many more things may be done now."""
        return (self.rate.whole - self.used) // self.rate.share

    @property
    def wait_seconds(self) -> int:
        """Whole seconds until one more may be done; 0 if it may be done now."""
        return _seconds(max(0, self.used + self.rate.share - self.rate.whole))

    @property
    def whole_seconds(self) -> int:
        """Whole seconds until nothing is used up any more."""
        return _seconds(self.used)


class Bucket:
    """An allowance and what is used up of it. Time is passed in, in microseconds."""

    __slots__ = ("_whole_at", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._whole_at = 0

    def used(self, now: int) -> int:
        """Return how much is used up."""
        return max(0, self._whole_at - now)

    def take(self, now: int, count: int = 1) -> bool:
        """Use up the shares of ``count`` things, or say that they may not be done and leave all as it is."""
        used = self.used(now) + count * self.rate.share
        if used > self.rate.whole:
            return False
        self._whole_at = now + used
        return True

    def set(self, now: int, used: int) -> None:
        """Learn how much is used up."""
        self._whole_at = now + min(used, self.rate.whole)


def _seconds(microseconds: int) -> int:
    return -(-microseconds // MICROSECONDS)
