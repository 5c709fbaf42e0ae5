"""Ports on the loopback interface."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from itertools import cycle

FIRST, LAST = 11_000, 31_000
"""Below the range from which the kernel takes ports for whoever wants any, above those that browsers refuse."""
PROCESSES = 100
"""So many processes of tests have ports of their own."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens, and which no other test is told for a long while.

    It stays free until somebody listens there, and again while a server is restarted: the kernel gives it to no
    connection, and other processes of tests look elsewhere.
    """
    return next(port for port in _ports if _is_free(port))


def listens(port: int) -> bool:
    """Tell whether something listens on a TCP port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _own_ports() -> Iterator[int]:
    """Yield this process's ports in turns."""
    # xdist numbers the processes of one run. Runs at the same time are told apart by chance.
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    own = range(FIRST + worker % PROCESSES, LAST, PROCESSES)
    begin = os.getppid() % len(own)
    return cycle([*own[begin:], *own[:begin]])


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # As servers do: what is left of connections to one that has ended keeps nobody from listening.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_ports = _own_ports()
