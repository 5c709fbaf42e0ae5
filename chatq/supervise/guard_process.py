"""A process of its own that ends the supervised ones if their supervisor is killed.

Run as a file, by the standard library alone, so that it starts in some milliseconds. Standard input is a
socket whose other end only the supervisor holds: lines ``+PGID`` and ``-PGID`` say which process groups live,
and its end, however it comes, says that the supervisor does not.
"""

import os
import signal
import time

GRACE = 1.0
"""Seconds from SIGTERM to SIGKILL: nobody may be left when an operator looks."""

LOOK = 0.01
"""Seconds between two looks at processes that are not our children, whose end no event tells."""


def main() -> None:
    """Wait for the supervisor's end, then bring about that of whatever it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left = list(reversed(follow(0)))
    end(left, signal.SIGTERM, GRACE)
    end(left, signal.SIGKILL, 10.0)


def follow(descriptor: int) -> list[int]:
    """Read to the end and return the groups that live then, in the order of their start."""
    groups: dict[int, None] = {}
    unfinished = b""
    while news := os.read(descriptor, 4096):
        *lines, unfinished = (unfinished + news).split(b"\n")
        for line in lines:
            if line.startswith(b"+"):
                groups[int(line[1:])] = None
            else:
                groups.pop(int(line[1:]), None)
    return list(groups)


def end(groups: list[int], number: int, patience: float) -> None:
    """Send each group a signal and wait, but not for ever, until all are gone."""
    for group in groups:
        send(group, number)
    deadline = time.monotonic() + patience
    while any(send(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(LOOK)


def send(group: int, number: int) -> bool:
    """Send a signal; return whether there is anybody who can get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
