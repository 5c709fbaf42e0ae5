"""The part that decides: start order, restarts, who hangs, stop order, exit code.

It is told what happens (:meth:`Supervisor.ended`, :meth:`Supervisor.heard`, :meth:`Supervisor.tick` and so on)
and acts through :class:`Processes`; it neither waits nor reads a clock of its own, so that tests can replay
any history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatq.errors import ChatqError, ExitCode
from chatq.supervise.death import AWAY, Restarts, exit_code, in_words
from chatq.supervise.role import Role
from chatq.supervise.watchdog import Watchdog

_FIRST_LOOK, _LONGEST_LOOK = 0.01, 0.1
"""Seconds between two questions whether a role is ready: twice as long each time, up to the longest."""

_LONG = 15.0
"""Seconds after which people are told what is being waited for."""

_SAME_WISH = 0.05
"""Seconds: a Ctrl-C may come twice, from the terminal and from the program that started us."""


class Processes(Protocol):
    """What a supervisor does to processes. None of it waits."""

    def start(self, role: Role) -> None:
        """Start the role's process; raises ChatqError if that is impossible."""

    def terminate(self, role: Role) -> None:
        """Ask it to end."""

    def kill(self, role: Role) -> None:
        """End it, and whatever it started."""


@dataclass(slots=True)
class _Life:
    role: Role
    began: float
    hung: bool = False
    """It was killed for that, and is replaced when it has ended."""


class Supervisor:
    """Starts ``roles`` in their order and ends them by their ranks.

    A process that dies comes back as often as ``restarts`` says. One that hangs is killed and replaced, whatever
    they say: it did not die, we ended it so that the others can go on. Its replacement has to begin under the same
    circumstances; if these are to blame, because Redis or the database hangs, it is started again and again until
    it has given a first sign of life.

    Args:
        roles: names must differ.
        processes: acts for it.
        say: tells people what happens.
        clock: seconds, monotonic.
        restarts: for those that die.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        processes: Processes,
        say: Callable[[str], None],
        clock: Callable[[], float],
        restarts: Restarts,
    ) -> None:
        self.exit_code = ExitCode.DONE
        self._processes = processes
        self._say = say
        self._clock = clock
        self._restarts = restarts
        self._to_start = deque(roles)
        self._alive: dict[str, _Life] = {}
        self._due: dict[str, tuple[float, Role]] = {}
        self._watchdog = Watchdog()
        self._replacements: set[str] = set()
        self._awaited: Role | None = None
        self._next_look = 0.0
        self._pause = _FIRST_LOOK
        self._tell_at: float | None = None
        self._stop_asked: float | None = None
        self._stopping = False
        self._ending: list[Role] = []
        self._deadline: float | None = None

    @property
    def done(self) -> bool:
        """Whether nothing runs any more, and nothing is going to."""
        return not (self._alive or self._due or self._to_start)

    def next_tick(self) -> float | None:
        """Return the time by which :meth:`tick` has to be called, None if nothing is due."""
        times = [time for time, _role in self._due.values()]
        if self._awaited is not None and self._awaited.ready is not None:
            times.append(self._next_look)
        if self._deadline is not None:
            times.append(self._deadline)
        if (look := self._watchdog.next_look()) is not None:
            times.append(look)
        return min(times, default=None)

    def begin(self) -> None:
        """Start what can be started now."""
        while self._to_start and self._awaited is None and not self._stopping:
            role = self._to_start.popleft()
            if role.once or role.ready is not None:
                self._awaited, self._pause = role, _FIRST_LOOK
                self._next_look = self._clock()
                self._tell_at = self._next_look + _LONG
            self._start(role)

    def heard(self, role: Role) -> None:
        """Take note that a process has given a sign of life."""
        self._watchdog.heard(role.name)
        self._replacements.discard(role.name)

    def tick(self, *, flowing: bool = True) -> None:
        """Do what is due: look whether the awaited role is ready, bring back the dead, kill what hangs or is slow.

        ``flowing`` tells whether what the processes write is taken: one that waits for its reader does not hang.
        """
        now = self._clock()
        for name, (time, role) in list(self._due.items()):
            if time <= now and name in self._due:
                del self._due[name]
                self._start(role)
        if self._awaited is not None and self._awaited.ready is not None and self._next_look <= now:
            self._look(self._awaited, self._awaited.ready)
        for name in self._watchdog.hung(now, counts=flowing):
            self._end_hung(self._alive[name])
        if self._deadline is not None and self._deadline <= now:
            self._deadline = None
            for role in self._ending:
                self._say(f"{role.name} does not end within {role.grace:.0f} s: killed")
                self._processes.kill(role)

    def ended(self, role: Role, status: int) -> None:
        """Take note that a process has ended: ``status`` is negative for a signal."""
        life = self._alive.pop(role.name)
        self._watchdog.forget(role.name)
        if self._stopping:
            self._end_next()
        elif status == 0 and role.once:
            self._awaited = None
            self.begin()
        elif status == 0 and role.may_end:
            self._say(f"{role.name} ended with exit status 0")
        elif life.hung:
            self._replacements.add(role.name)
            self._start(role)
        else:
            self._died(role, status, self._clock() - life.began)

    def asked_to_stop(self) -> None:
        """Take note of a Ctrl-C or a SIGTERM: the first ends all in order, the second at once."""
        now = self._clock()
        if self._stop_asked is None:
            self._stop_asked = now
            if not self._stopping:
                self._say("stopping; a second Ctrl-C kills")
            self._stop(self.exit_code)
        elif now - self._stop_asked >= _SAME_WISH:
            self._say("killed everything")
            self.exit_code = ExitCode.FAILED
            for life in list(self._alive.values()):
                self._processes.kill(life.role)

    def give_up(self, code: ExitCode) -> None:
        """End all in order, because of something other than a child's death."""
        self._stop(code)

    def _start(self, role: Role) -> None:
        try:
            self._processes.start(role)
        except ChatqError as error:
            self._say(f"{role.name} cannot be started: {error.detail}")
            self._stop(error.exit_code)
            return
        life = self._alive[role.name] = _Life(role, self._clock())
        if role.timeout is not None:
            self._watchdog.watch(role.name, role.timeout, life.began)

    def _look(self, role: Role, ready: Callable[[], bool]) -> None:
        try:
            is_ready = ready()
        except ChatqError as error:
            self._say(error.detail)
            self._stop(error.exit_code)
            return
        if not is_ready:
            now = self._clock()
            if self._tell_at is not None and self._tell_at <= now:
                self._tell_at = None
                self._say(f"{role.name} is still not ready")
            self._next_look = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_LOOK)
            return
        self._awaited = None
        if role.ready_says:
            self._say(role.ready_says)
        self.begin()

    def _end_hung(self, life: _Life) -> None:
        life.hung = True
        self._watchdog.forget(life.role.name)
        self._processes.kill(life.role)
        self._say(f"{life.role.name} has given no sign of life for {life.role.timeout:g} s: killed; starts again")

    def _died(self, role: Role, status: int, lived: float) -> None:
        how = f"{role.name} died: {in_words(status)}"
        if role.name in self._replacements and status in AWAY:
            delay: float | None = self._restarts.pause(role.name, lived)
        else:
            delay = None if role.once else self._restarts.delay(role.name, status, lived)
        if delay is None:
            after = f" after {count} restarts" if (count := self._restarts.count[role.name]) else ""
            self._say(f"{how}{after}; stopping everything")
            self._stop(exit_code(status))
        elif delay:
            self._say(f"{how}; starts again in {delay:g} s")
            self._due[role.name] = (self._clock() + delay, role)
        else:
            self._say(f"{how}; starts again")
            self._start(role)

    def _stop(self, code: ExitCode) -> None:
        if self._stopping:
            return
        self._stopping = True
        self.exit_code = code
        for name in self._alive:
            self._watchdog.forget(name)  # from here on there are deadlines
        self._awaited = None
        self._to_start.clear()
        self._due.clear()
        self._end_next()

    def _end_next(self) -> None:
        """End the roles of the lowest rank; once they have ended, those of the next."""
        self._ending = [role for role in self._ending if role.name in self._alive]
        if self._ending:
            return
        self._deadline = None
        lives = self._alive.values()
        lowest = min((life.role.rank for life in lives), default=0)
        self._ending = [life.role for life in lives if life.role.rank == lowest]
        if self._ending:
            self._deadline = self._clock() + max(role.grace for role in self._ending)
            for role in self._ending:
                self._processes.terminate(role)
