"""The guard's successor, when the supervisor is killed at the worst moment."""

from __future__ import annotations

import subprocess
import sys

from tests.parts.processes import alive
from tests.parts.root import ROOT
from tests.parts.waiting import until

SUPERVISOR = """
import os
import signal
import subprocess

from chatq.supervise.guard import Guard

class Last(subprocess.Popen):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

guard = Guard()
child = subprocess.Popen(
    ["sleep", "60"],
    start_new_session=True,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    preexec_fn=lambda: guard.watch(os.getpid()),
)
guard.started(child.pid)
print(child.pid, flush=True)
os.kill(guard.pid, signal.SIGKILL)
_, status = os.waitpid(guard.pid, 0)
subprocess.Popen = Last
guard.died(status)
"""
"""A supervisor that replaces a killed guard, and is killed itself as soon as the new one is there."""


def test_a_new_guard_knows_whom_to_end_as_soon_as_it_is_there() -> None:
    # Given a supervisor that has a child, and is killed with its guard, right after it has started another one
    command = [sys.executable, "-c", SUPERVISOR]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == -9, ended.stderr
    # Then that one ends the child
    child = int(ended.stdout)
    until(lambda: not alive(child), what="the end of the child")
