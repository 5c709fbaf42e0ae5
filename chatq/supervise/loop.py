"""The loop: waits until something happens, and tells the supervisor."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from chatq.errors import ExitCode
from chatq.supervise.children import Children
from chatq.supervise.death import Restarts
from chatq.supervise.guard import Guard
from chatq.supervise.output import Output
from chatq.supervise.role import Role
from chatq.supervise.signals import STOP, Signals
from chatq.supervise.supervisor import Supervisor

_STDERR = 2

OWN_NAME = "chatq"
"""The name before the supervisor's own lines."""


def supervise_named(
    roles: Sequence[Role], *, restarts: Restarts, descriptor: int, colour: bool, hold: Sequence[int] = ()
) -> ExitCode:
    """Run ``roles`` to their end, with each line of theirs, and of the supervisor, behind a name.

    Args:
        roles: in the order of their start.
        restarts: for those that die.
        descriptor: where the lines go.
        colour: whether the names are coloured.
        hold: file descriptors that stay open until every process has ended, even if this one is killed.
    """
    output = Output(descriptor, [OWN_NAME, *(role.name for role in roles)], colour=colour)
    try:
        return _run(roles, restarts, lambda text: output.line(OWN_NAME, text.encode()), output, hold)
    finally:
        output.finish()


def supervise_plain(roles: Sequence[Role], *, restarts: Restarts, say: Callable[[str], None]) -> ExitCode:
    """Run ``roles`` to their end; they write to this process's own stdout and stderr."""
    return _run(roles, restarts, say, None, ())


def _run(
    roles: Sequence[Role],
    restarts: Restarts,
    say: Callable[[str], None],
    output: Output | None,
    hold: Sequence[int],
) -> ExitCode:
    guard = Guard(hold)
    try:
        with Signals() as signals:
            children = Children(guard, output.line if output is not None else None)
            supervisor = Supervisor(roles, children, say, time.monotonic, restarts)
            supervisor.begin()
            while not supervisor.done:
                _turn(supervisor, children, signals, output)
            return supervisor.exit_code
    finally:
        guard.close()


def _turn(supervisor: Supervisor, children: Children, signals: Signals, output: Output | None) -> None:
    """Wait for the next thing that happens and deal with it."""
    due = supervisor.next_tick()
    patience = None if due is None else max(0.0, due - time.monotonic())
    # A reader that does not keep up makes the processes wait, not our memory grow.
    sources = [] if output is not None and output.full else children.outputs()
    sinks = [output.descriptor] if output is not None and output.pending else []
    readable, _writable, _ = select.select([signals.fileno(), *sources], sinks, [], patience)
    children.read(readable)
    for number in signals.take():
        if number in STOP:
            supervisor.asked_to_stop()
        elif number == signal.SIGCHLD:
            for role, status in children.reap():
                supervisor.ended(role, status)
    # Whatever has come, however long ago, is heard before anybody is judged.
    for role in children.heard():
        supervisor.heard(role)
    supervisor.tick(flowing=_flows(output))
    if output is not None:
        output.write()
        if output.reader_gone:
            supervisor.give_up(ExitCode.FAILED)


def _flows(output: Output | None) -> bool:
    """Tell whether what the processes write is taken, by us or, without ``output``, by whoever reads stderr."""
    if output is not None:
        return not output.full
    with suppress(OSError):
        return bool(select.select([], [_STDERR], [], 0)[1])
    return True  # stderr is closed: nobody waits for it
