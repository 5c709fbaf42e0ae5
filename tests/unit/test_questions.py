"""Questions that come together are put as one, and each gets its answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import gevent
import pytest
from gevent.event import Event

from chatq.errors import DatabaseUnavailable
from chatq.realtime.questions import AT_ONCE, Questions
from tests.parts.waiting import PATIENCE_SECONDS


class Oracle:
    """Answers slowly, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.free = Event()
        self.down = False

    def answer(self, keys: Collection[int]) -> Mapping[int, str]:
        self.asked.append(list(keys))
        self.free.wait(PATIENCE_SECONDS)
        if self.down:
            raise DatabaseUnavailable
        return {key: str(key) for key in keys}


def test_what_comes_while_one_is_answered_is_put_together_next() -> None:
    oracle = Oracle()
    questions: Questions[int, str] = Questions(oracle.answer)
    first = gevent.spawn(questions.ask, 1)
    gevent.sleep(0)
    gevent.sleep(0)
    # The same question again: its answer must not be older than the question
    rest = [gevent.spawn(questions.ask, number) for number in (1, 2, 3, 2)]
    gevent.sleep(0)
    oracle.free.set()
    assert first.get(timeout=PATIENCE_SECONDS) == "1"
    assert [each.get(timeout=PATIENCE_SECONDS) for each in rest] == ["1", "2", "3", "2"]
    assert oracle.asked == [[1], [1, 2, 3]]


def test_too_many_are_put_in_parts() -> None:
    oracle = Oracle()
    oracle.free.set()
    questions: Questions[int, str] = Questions(oracle.answer)
    asking = [gevent.spawn(questions.ask, number) for number in range(AT_ONCE + 1)]
    assert [each.get(timeout=PATIENCE_SECONDS) for each in asking] == [str(number) for number in range(AT_ONCE + 1)]
    assert [len(keys) for keys in oracle.asked] == [AT_ONCE, 1]


def test_all_who_asked_learn_that_there_is_no_answer_and_the_next_ask_anew() -> None:
    oracle = Oracle()
    oracle.free.set()
    oracle.down = True
    questions: Questions[int, str] = Questions(oracle.answer)

    def ask(number: int) -> str:
        with pytest.raises(DatabaseUnavailable):
            questions.ask(number)
        return "refused"

    asking = [gevent.spawn(ask, number) for number in range(3)]
    assert [each.get(timeout=PATIENCE_SECONDS) for each in asking] == ["refused"] * 3
    oracle.down = False
    assert questions.ask(1) == "1"
