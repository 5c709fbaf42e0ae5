"""Questions that come at the same time, put together: a query costs about the same for one and for a hundred."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Generic, TypeVar

import gevent
from gevent.event import AsyncResult

AT_ONCE = 500
"""How many are put together at most."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Questions(Generic[Key, Value]):
    """Questions of one kind, each about a key.

    Nobody waits for others to ask: what is put together is what came while the question before was being answered.
    """

    def __init__(self, answer: Callable[[Collection[Key]], Mapping[Key, Value]]) -> None:
        """Take what answers for many keys at once."""
        self._answer = answer
        self._waiting: dict[Key, AsyncResult] = {}
        self._asking: gevent.Greenlet | None = None

    def ask(self, key: Key) -> Value:
        """Return the answer to a question that is not put before this is called.

        Raises:
            ChatqError: there is no answer.
        """
        result = self._waiting.get(key)
        if result is None:
            result = self._waiting[key] = AsyncResult()
        if self._asking is None:
            self._asking = gevent.spawn(self._ask_all)
        value: Value = result.get()
        return value

    def _ask_all(self) -> None:
        try:
            while self._waiting:
                keys = list(islice(self._waiting, AT_ONCE))
                self._ask({key: self._waiting.pop(key) for key in keys})
        finally:
            self._asking = None

    def _ask(self, results: Mapping[Key, AsyncResult]) -> None:
        try:
            answers = self._answer(results.keys())
        except Exception as error:  # noqa: BLE001  # each of those who wait is to learn of it
            for result in results.values():
                result.set_exception(error)
        else:
            for key, result in results.items():
                result.set(answers[key])
