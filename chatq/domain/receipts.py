"""Receipts: which of some marks, made one after the other, are worth to be made."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Mark(NamedTuple):
    """Somebody has received, or read, everything up to a message."""

    who: Hashable
    """Whose mark it is, and in which conversation: only marks of the same are compared."""
    seq: int
    """The message's number."""
    read: bool


def find_covering(marks: Sequence[Mark]) -> list[int]:
    """Return for each mark the position of a later one that goes as far, or else its own.

    ``read`` covers ``delivered``.
    """
    furthest: dict[tuple[Hashable, bool], tuple[int, int]] = {}
    """Numbers and positions of the furthest marks behind: of those that say read, and of all."""
    covering: list[int] = []
    for at in range(len(marks) - 1, -1, -1):
        who, seq, read = marks[at]
        reached, by = furthest.get((who, read), (-1, at))
        if seq > reached:
            by = at
            for kind in (True, False) if read else (False,):
                if seq > furthest.get((who, kind), (-1, at))[0]:
                    furthest[who, kind] = (seq, at)
        covering.append(by)
    return covering[::-1]
