"""A supervisor whose history is made up: no process, no waiting."""

from __future__ import annotations

from chatq.errors import ChatqError
from chatq.supervise.death import Restarts
from chatq.supervise.role import Role
from chatq.supervise.supervisor import Supervisor


class Play:
    """A supervisor with a clock that stands, and processes that do nothing but get noted."""

    def __init__(self, *roles: Role, restarts: Restarts | None = None) -> None:
        self.now = 100.0
        self.acts: list[str] = []
        self.said: list[str] = []
        self.impossible: set[str] = set()
        self.roles = {role.name: role for role in roles}
        self.supervisor = Supervisor(roles, self, self.said.append, lambda: self.now, restarts or Restarts())
        self.supervisor.begin()

    def start(self, role: Role) -> None:
        if role.name in self.impossible:
            raise ChatqError("no such program")
        self.acts.append(f"start {role.name}")

    def terminate(self, role: Role) -> None:
        self.acts.append(f"term {role.name}")

    def kill(self, role: Role) -> None:
        self.acts.append(f"kill {role.name}")

    def after(self, seconds: float, *, flowing: bool = True) -> None:
        """Let time pass, in which the output of the processes is taken if it is ``flowing``."""
        self.now += seconds
        self.supervisor.tick(flowing=flowing)

    def ends(self, name: str, status: int) -> None:
        self.supervisor.ended(self.roles[name], status)

    def done(self) -> bool:
        return self.supervisor.done

    def new_acts(self) -> list[str]:
        acts, self.acts = self.acts, []
        return acts
