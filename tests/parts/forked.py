"""The other side of :mod:`tests.parts.forking`: the process that imports, and forks at each request.

What it uses itself is bound to its names before gevent may patch it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from _socket import CMSG_SPACE, socket
from array import array
from importlib import import_module
from os import fork, waitpid
from signal import SIG_DFL, SIG_IGN, SIGCHLD, signal

from tests.parts.forking import Program

MAX_REQUEST = 1 << 20
DESCRIPTORS = 4
"""For stdin, stdout, stderr, and what became of it."""


def main() -> None:
    """Fork at each request until nobody can make another; return in the process that is to run the program."""
    requests, program = socket(fileno=int(sys.argv[1])), Program(*json.loads(sys.argv[2]))
    if program.gevent:
        from gevent import monkey  # noqa: PLC0415  # only if it is wanted

        monkey.patch_all()
    for module in program.imports:
        import_module(module)
    module, _, name = program.main.partition(":")
    run = getattr(import_module(module), name)
    gc.collect()
    gc.freeze()
    # Nobody waits for those that it forks.
    signal(SIGCHLD, SIG_IGN)
    while True:
        request, ancillary, *_ = requests.recvmsg(MAX_REQUEST, CMSG_SPACE(DESCRIPTORS * array("i").itemsize))
        if not request:
            return
        descriptors = array("i", ancillary[0][2]).tolist()
        if not fork():
            break
        for descriptor in descriptors:
            os.close(descriptor)
    requests.close()
    signal(SIGCHLD, SIG_DFL)
    *streams, told = descriptors
    _leave_child_behind(streams, told)
    arguments, directory, environment = json.loads(request)
    sys.argv = ["chatq", *arguments]
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    run()


def _leave_child_behind(streams: list[int], told: int) -> None:
    """Return in a child of this process, which itself tells what became of the child, and ends."""
    child = fork()
    if not child:
        os.setsid()
        os.write(told, f"{os.getpid()}\n".encode())
        os.close(told)
        return
    for stream in streams:
        os.close(stream)
    _, status = waitpid(child, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
