"""What was said last, remembered: what those who come back together have missed is read from the log once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from chatq.realtime.live import Numbered, is_dense, size_of

TOTAL_BYTES = 32 << 20
"""How much is remembered of all conversations together."""
TAIL_BYTES = 128 << 10
"""How much is remembered of one."""


class Recall:
    """The newest events of conversations that somebody resumed lately.

    It never says what is newest: the database does. Whatever changes an event that was, an edit or a deletion, is an
    event itself. So a tail that ends with the newest event of all is as the log is; one that such an event would
    follow on is forgotten.
    """

    def __init__(self) -> None:
        self._tails: OrderedDict[str, _Tail] = OrderedDict()
        """The one that was asked for last is the last."""
        self._size = 0

    def after(self, conversation_id: str, position: int, last: int) -> list[Numbered] | None:
        """Return the events after ``position`` up to ``last``, the newest there is; None if not all are known."""
        tail = self._tails.get(conversation_id)
        if tail is None or tail.events[-1].seq != last or position + 1 < tail.events[0].seq:
            return None
        self._tails.move_to_end(conversation_id)
        return tail.events[position + 1 - tail.events[0].seq :]

    def remember(self, conversation_id: str, events: list[Numbered]) -> None:
        """Remember events, dense, of which the last one was the newest when they were read."""
        self.forget(conversation_id)
        tail = _Tail(events)
        if tail.size > TAIL_BYTES:
            return
        self._tails[conversation_id] = tail
        self._size += tail.size
        while self._size > TOTAL_BYTES:
            _, oldest = self._tails.popitem(last=False)
            self._size -= oldest.size

    def follow(self, conversation_id: str, events: Sequence[Numbered]) -> None:
        """Take live events."""
        tail = self._tails.get(conversation_id)
        if tail is None:
            return
        end = tail.events[-1].seq
        new = [event for event in events if event.seq > end]
        if not is_dense(new, end) or any(event.rewrites for event in new):
            self.forget(conversation_id)
            return
        self._size -= tail.size
        tail.extend(new)
        self._size += tail.size

    def forget(self, conversation_id: str) -> None:
        """Remember nothing of a conversation."""
        tail = self._tails.pop(conversation_id, None)
        if tail is not None:
            self._size -= tail.size


class _Tail:
    __slots__ = ("events", "size")

    def __init__(self, events: list[Numbered]) -> None:
        self.events = events
        self.size = size_of(events)

    def extend(self, new: Sequence[Numbered]) -> None:
        self.events += new
        self.size += size_of(new)
        if self.size > 2 * TAIL_BYTES:
            # Now and then, rather than to move all events for each that comes.
            keep, size = len(self.events) - 1, len(self.events[-1].frame)
            while keep and size + len(self.events[keep - 1].frame) <= TAIL_BYTES:
                keep -= 1
                size += len(self.events[keep].frame)
            del self.events[:keep]
            self.size = size
