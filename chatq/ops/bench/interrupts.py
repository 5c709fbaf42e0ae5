"""Signals that ask a run to end, as an exception that lets it clean up first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the first signal raise KeyboardInterrupt where this greenlet, the main one, next waits by gevent.

    Whatever the block does without gevent is not interrupted: its clean-up, above all.
    """
    main = gevent.getcurrent()
    fired = False

    def interrupt() -> None:
        nonlocal fired
        if not fired:
            fired = True
            gevent.kill(main, KeyboardInterrupt)

    # Under nohup, SIGHUP is ignored.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    watchers = [gevent.signal_handler(number, interrupt) for number in taken]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        for number in taken:
            # libev leaves the system's own default behind.
            signal.signal(number, before[number])
