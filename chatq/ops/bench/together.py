"""Several things at once, as greenlets: all of them end, and the first error is heard of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import gevent

Job = Callable[[], None]


def together(jobs: Iterable[Job], beside: Iterable[Job] = ()) -> None:
    """Run ``jobs``, and ``beside`` them others that are ended as soon as all ``jobs`` have returned.

    Raises:
        Exception: what the first of them raised; the others are ended.
    """
    working = {gevent.spawn(_outcome, job) for job in jobs}
    everyone = working | {gevent.spawn(_outcome, job) for job in beside}
    left = set(working)
    try:
        for done in gevent.iwait(everyone):
            if isinstance(done.value, Exception):
                raise done.value
            left.discard(done)
            if not left:
                return
    finally:
        gevent.killall(everyone)


def _outcome(job: Job) -> Exception | None:
    try:
        job()
    except Exception as error:  # noqa: BLE001  # raised where it is waited for; gevent would print it
        return error
    return None
