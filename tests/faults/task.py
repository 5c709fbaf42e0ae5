"""A thread that tells how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Thread


class Task:
    """Runs ``work`` in a thread, and keeps what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.fault: BaseException | None = None
        self._work = work
        self._thread = Thread(target=self._run)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            self.fault = error


def raise_faults(tasks: Iterable[Task]) -> None:
    """Raise what was raised in any of these tasks."""
    found = [task.fault for task in tasks if task.fault is not None]
    if found:
        raise BaseExceptionGroup("in another thread", found)
