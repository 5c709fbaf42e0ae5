"""What is remembered of conversations: exactly what the log says, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatq.realtime import recall as recall_module
from chatq.realtime.live import Numbered, numbered
from chatq.realtime.recall import Recall


def event(seq: int, size: int = 10, kind: str = "newMessage") -> Numbered:
    return numbered(f'{{"type":"{kind}","seq":{seq},"pad":"{"x" * size}"}}')


def events(first: int, last: int) -> list[Numbered]:
    return [event(seq) for seq in range(first, last + 1)]


def seqs(found: list[Numbered] | None) -> list[int] | None:
    return None if found is None else [one.seq for one in found]


def test_what_was_read_is_known_from_its_beginning_on() -> None:
    recall = Recall()
    recall.remember("c", events(5, 9))
    assert seqs(recall.after("c", 4, 9)) == [5, 6, 7, 8, 9]
    assert seqs(recall.after("c", 7, 9)) == [8, 9]
    assert recall.after("c", 3, 9) is None, "event 4 is not known"
    assert recall.after("c", 7, 10) is None, "event 10 is not known"
    assert recall.after("d", 4, 9) is None


def test_live_events_that_follow_are_known_too_and_repeats_are_dropped() -> None:
    recall = Recall()
    recall.remember("c", events(1, 3))
    recall.follow("c", events(2, 5))
    recall.follow("c", events(1, 2))
    recall.follow("d", events(1, 2))
    assert seqs(recall.after("c", 2, 5)) == [3, 4, 5]
    assert recall.after("d", 0, 2) is None, "nobody has asked for it"


@pytest.mark.parametrize("kind", ["messageEdited", "messageDeleted"])
def test_nothing_is_known_after_what_changes_the_past(kind: str) -> None:
    recall = Recall()
    recall.remember("c", events(1, 3))
    recall.follow("c", [event(4), event(5, kind=kind)])
    assert recall.after("c", 4, 5) is None


def test_nothing_is_known_after_a_gap() -> None:
    recall = Recall()
    recall.remember("c", events(1, 3))
    recall.follow("c", events(5, 6))
    recall.follow("c", events(4, 6))
    assert recall.after("c", 0, 6) is None


def test_reading_again_replaces_what_was_known() -> None:
    recall = Recall()
    recall.remember("c", events(1, 3))
    recall.remember("c", events(3, 4))
    assert recall.after("c", 0, 4) is None
    assert seqs(recall.after("c", 2, 4)) == [3, 4]


def test_of_much_only_what_was_asked_for_last_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "TOTAL_BYTES", 3 * len(b"".join(one.frame for one in events(1, 4))))
    recall = Recall()
    for name in "abc":
        recall.remember(name, events(1, 4))
    recall.after("a", 0, 4)
    recall.remember("d", events(1, 4))
    assert [name for name in "abcd" if recall.after(name, 0, 4) is not None] == ["a", "c", "d"]


def test_a_page_that_is_too_large_is_not_kept() -> None:
    recall = Recall()
    recall.remember("c", [event(1, recall_module.TAIL_BYTES)])
    assert recall.after("c", 0, 1) is None


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=60))
def test_however_long_it_follows_it_stays_dense_and_bounded(sizes: list[int]) -> None:
    recall = Recall()
    recall.remember("c", [event(1)])
    for seq, size in enumerate(sizes, 2):
        recall.follow("c", [event(seq, size)])
    last = len(sizes) + 1
    known = next(position for position in range(last) if recall.after("c", position, last) is not None)
    found = recall.after("c", known, last) or []
    assert seqs(found) == list(range(known + 1, last + 1))
    assert sum(len(one.frame) for one in found) <= 2 * recall_module.TAIL_BYTES
