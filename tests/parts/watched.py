"""A supervisor that watches one process, with a timeout of some seconds: ``python -m tests.parts.watched``.

Arguments: whose lines the output has (``named`` or ``plain``), the timeout, and what the process does besides
living: ``calm``, print a line a second, ``chatty``, print long lines, or else it becomes ``mute`` and hangs.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time

from chatq.supervise.death import Restarts
from chatq.supervise.heartbeat import take_over
from chatq.supervise.loop import supervise_named, supervise_plain
from chatq.supervise.role import Role

TURN_SECONDS = 0.1
TURNS_A_LINE = 10


def supervise(output: str, timeout: float, manner: str) -> int:
    """Watch a process until SIGTERM, and return the exit code."""
    roles = [Role("watched", (sys.executable, "-m", "tests.parts.watched", "process", manner), timeout=timeout)]
    if output == "named":
        return supervise_named(roles, restarts=Restarts(), descriptor=1, colour=False)
    return supervise_plain(roles, restarts=Restarts(), say=lambda text: print(text, file=sys.stderr, flush=True))


def live(manner: str) -> None:
    """Give signs of life until SIGTERM."""
    give_sign = take_over(os.environ)
    for turn in itertools.count():
        if give_sign is not None:
            give_sign()
        if turn == 0:
            print("up", os.getpid(), file=sys.stderr, flush=True)
        if manner == "calm" and turn % TURNS_A_LINE == TURNS_A_LINE - 1:
            print("lives", file=sys.stderr, flush=True)
        if manner == "chatty":
            print("x" * 100_000, file=sys.stderr, flush=True)
        if manner == "mute":
            signal.pause()
        time.sleep(TURN_SECONDS)


if __name__ == "__main__":
    if sys.argv[1] == "process":
        live(sys.argv[2])
    else:
        sys.exit(supervise(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
