"""The registry of handlers: what a job name, or a callback's name, may run in a chatq process.

Nothing is ever imported because a job in Redis names it; a name that is not registered here is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chatq.domain.jobs import MESSAGE_FUNCTIONS, function_name
from chatq.errors import BadUsage, InvalidFields, UnregisteredJob

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Handler:
    """A user's function, and how its jobs are run."""

    name: str
    function: Callable[..., Any]
    queue: str
    attempts: int
    """How often a job is tried in all."""
    timeout: int
    """Seconds after which an attempt is ended."""
    result_ttl: int
    """Seconds for which the result is kept in Redis."""
    on_success: Callable[..., Any] | None
    on_failure: Callable[..., Any] | None


class Registry:
    """Handlers by function name, and the callbacks that they brought along by dotted name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._callbacks: dict[str, Callable[..., Any]] = {}

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            BadUsage: its name is taken, is one of chatq's own jobs, or is no job name.
        """
        try:
            key = function_name(handler.name)
        except InvalidFields as error:
            raise BadUsage(f"@handler({handler.name!r}): {error.problems[0].problem}.") from None
        if key in MESSAGE_FUNCTIONS:
            raise BadUsage(f"@handler({handler.name!r}): this is one of chatq's own jobs.")
        taken = self._handlers.get(key)
        # A module may be loaded twice: what it registers again takes the place of what it registered before.
        if taken is not None and callback_name(taken.function) != callback_name(handler.function):
            raise BadUsage(f"@handler({handler.name!r}): {taken.name!r} is registered already.")
        self._handlers[key] = handler
        for callback in (handler.on_success, handler.on_failure):
            if callback is not None:
                self._callbacks[callback_name(callback)] = callback

    def find(self, function: str) -> Handler:
        """Return the handler of jobs with this function name.

        Raises:
            UnregisteredJob: there is none.
        """
        handler = self._handlers.get(function)
        if handler is None:
            raise UnregisteredJob(f"No handler is registered for {function!r}, so it was not run.")
        return handler

    def callback(self, name: str) -> Callable[..., Any] | None:
        """Return the registered callback of this dotted name, or None."""
        return self._callbacks.get(name)

    def queues(self) -> list[str]:
        """Return the names of all queues that handlers listen to, sorted."""
        return sorted({handler.queue for handler in self._handlers.values()})


REGISTRY = Registry()
"""What ``@handler`` fills. Processes hand it on explicitly; only the decorator reaches for it."""


def callback_name(callback: Callable[..., Any]) -> str:
    """Return the dotted name under which RQ stores a callback."""
    return f"{callback.__module__}.{callback.__qualname__}"


def handler(
    name: str,
    *,
    queue: str = "default",
    attempts: int = DEFAULT_ATTEMPTS,
    timeout: int = 180,
    result_ttl: int = 500,
    on_success: Callable[..., Any] | None = None,
    on_failure: Callable[..., Any] | None = None,
) -> Callable[[F], F]:
    """Register the decorated function as the handler of the jobs called ``name``.

    The job's data arrive as keyword arguments. A job runs at least once: write handlers so that a second
    run does no harm.

    Args:
        name: the job's name, e.g. ``resizeImage``.
        queue: the RQ queue in which its jobs wait.
        attempts: how often a job is tried in all; between attempts lie exponentially growing, jittered waits.
        timeout: seconds after which an attempt is ended.
        result_ttl: seconds for which the result is kept in Redis; 0 keeps none.
        on_success: called with ``(job, connection, result)``.
        on_failure: called with ``(job, connection, type, value, traceback)``, once the last attempt failed.

    Raises:
        BadUsage: the name is taken or no job name, or a number is out of range.
    """
    if attempts < 1 or timeout < 1 or result_ttl < 0:
        raise BadUsage(f"@handler({name!r}): attempts and timeout start at 1, result_ttl at 0.")

    def register(function: F) -> F:
        REGISTRY.add(Handler(name, function, queue, attempts, timeout, result_ttl, on_success, on_failure))
        return function

    return register
