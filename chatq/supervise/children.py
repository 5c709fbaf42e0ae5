"""The real processes of a supervisor: started, signalled, read from, and taken from the system when they end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

from chatq.errors import ChatqError
from chatq.supervise.guard import Guard
from chatq.supervise.heartbeat import Pulse
from chatq.supervise.output import Lines
from chatq.supervise.role import Role

_CHUNK = 64 * 1024
_PIPEFULS = 16


class Child:
    """One process, in a session and a process group of its own, which the terminal's Ctrl-C does not reach."""

    def __init__(self, role: Role, guard: Guard, *, piped: bool) -> None:
        self.role = role
        self.lines = Lines()
        self._guard = guard
        self._pulse = None if role.timeout is None else Pulse()
        try:
            self._process = subprocess.Popen(
                role.command,
                env={**os.environ, **role.environment, **(self._pulse.environment if self._pulse else {})},
                pass_fds=self._pulse.to_pass if self._pulse else (),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else None,
                stderr=subprocess.STDOUT if piped else None,
                bufsize=0,
                start_new_session=True,
                # The process itself registers with the guard: the supervisor may be killed at any moment. This
                # process has no other threads whose locks a fork could freeze.
                preexec_fn=lambda: guard.watch(os.getpid()),  # noqa: PLW1509  # see above
            )
        except OSError as error:
            if self._pulse is not None:
                self._pulse.close()
            raise ChatqError(f"{role.command[0]}: {error.strerror}") from None
        finally:
            if self._pulse is not None:
                self._pulse.passed()
        guard.started(self.pid)
        if self._process.stdout is not None:
            os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group too."""
        return self._process.pid

    @property
    def output(self) -> int | None:
        """The descriptor of what it writes; None once that is over, or if it writes to the terminal itself."""
        stream = self._process.stdout
        return None if stream is None or stream.closed else stream.fileno()

    def read(self) -> bytes:
        """Return what it has written meanwhile; at the end of it, closes :attr:`output`."""
        if self._process.stdout is None or self._process.stdout.closed:
            return b""
        data = self._process.stdout.read(_CHUNK)
        if data == b"":
            self._process.stdout.close()
        return data or b""

    def heard(self) -> bool:
        """Tell whether it has given a sign of life since this was asked last."""
        return self._pulse is not None and self._pulse.heard()

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM, whole_group=self.role.whole_group)

    def kill(self) -> None:
        """End it and whatever it started."""
        self._signal(signal.SIGKILL, whole_group=True)

    def close(self) -> None:
        """Stop reading, and listening for signs of life."""
        if self._pulse is not None:
            self._pulse.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ended(self, status: int) -> None:
        """Take note that the system has said so; ends what it started and left behind."""
        self._process.returncode = status
        self._signal(signal.SIGKILL, whole_group=True)
        self._guard.forget(self.pid)

    def _signal(self, number: int, *, whole_group: bool) -> None:
        # macOS refuses to signal a group of which only dead processes are left.
        with suppress(ProcessLookupError, PermissionError):
            if whole_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)


class Children:
    """All processes of one supervisor, as :class:`chatq.supervise.supervisor.Processes`.

    Args:
        guard: ends them if this process is killed.
        on_line: called with the name of a role and a line that its process wrote; None leaves them this
            process's own stdout and stderr.
    """

    def __init__(self, guard: Guard, on_line: Callable[[str, bytes], None] | None) -> None:
        self._guard = guard
        self._on_line = on_line
        self._by_name: dict[str, Child] = {}
        self._by_pid: dict[int, Child] = {}

    def start(self, role: Role) -> None:
        """Start the role's process.

        Raises:
            ChatqError: the system cannot.
        """
        child = Child(role, self._guard, piped=self._on_line is not None)
        self._by_name[role.name] = self._by_pid[child.pid] = child

    def terminate(self, role: Role) -> None:
        """Ask it to end."""
        self._by_name[role.name].terminate()

    def kill(self, role: Role) -> None:
        """End it and whatever it started."""
        self._by_name[role.name].kill()

    def outputs(self) -> list[int]:
        """Return the descriptors on which something may arrive."""
        return [child.output for child in self._by_pid.values() if child.output is not None]

    def read(self, descriptors: list[int]) -> None:
        """Pass on the lines that have arrived on these descriptors."""
        for child in list(self._by_pid.values()):
            if child.output in descriptors:
                self._pass_on(child)

    def heard(self) -> list[Role]:
        """Return which have given a sign of life since this was asked last."""
        return [child.role for child in self._by_pid.values() if child.heard()]

    def reap(self) -> list[tuple[Role, int]]:
        """Return which processes have ended, and how; every one of them once."""
        ended = []
        for pid, status in _ended_processes():
            if pid == self._guard.pid:
                self._guard.died(status)
            # Others are orphans that were given to us because we are the container's first process.
            elif (child := self._by_pid.pop(pid, None)) is not None:
                child.ended(status)
                self._finish(child)
                ended.append((child.role, status))
        return ended

    def _finish(self, child: Child) -> None:
        # What the pipe holds, and not what an escaped process may go on to write into it.
        for _ in range(_PIPEFULS):
            if not self._pass_on(child):
                break
        child.close()
        if self._on_line is not None:
            for line in child.lines.rest():
                self._on_line(child.role.name, line)

    def _pass_on(self, child: Child) -> bool:
        data = child.read()
        if self._on_line is not None:
            for line in child.lines.cut(data):
                self._on_line(child.role.name, line)
        return bool(data)


def _ended_processes() -> list[tuple[int, int]]:
    found = []
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            found.append((pid, os.waitstatus_to_exitcode(status)))
    return found
