"""Processes as the system lists them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One process that has not ended."""

    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    """Return all processes that live; what has ended and was not taken note of does not."""
    command = ["ps", "-ww", "-A", "-o", "pid=,ppid=,stat=,args="]
    listing = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=3) for line in listing.stdout.splitlines()]
    return [Process(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and not row[2].startswith("Z")]


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that ``pid``, or one of its descendants, has started."""
    children: dict[int, list[int]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process.pid)
    found, left = [], [pid]
    while left:
        started = children.get(left.pop(), [])
        found += started
        left += started
    return found


def children(parent: int, text: str = "") -> list[int]:
    """Return the children of ``parent`` whose command line contains ``text``."""
    return [process.pid for process in processes() if process.parent == parent and text in process.command]


def kill_child(parent: int, text: str) -> int:
    """Kill the first child of ``parent`` whose command line contains ``text``, and return its id."""
    pid = children(parent, text)[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def resident(pid: int) -> float:
    """Return a process's resident memory in MB, as Linux tells it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def alive(pid: int) -> bool:
    """Tell whether there is such a process that has not ended."""
    return any(process.pid == pid for process in processes())
