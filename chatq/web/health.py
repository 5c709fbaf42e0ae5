"""Whether this process lives, and whether it can work."""

from __future__ import annotations

from typing import Literal

from chatq.domain.wire import Wire
from chatq.errors import ChatqError, NotReady
from chatq.queue.connection import translated
from chatq.store import schema
from chatq.web.answers import Answer, json_answer
from chatq.web.services import Services


class Liveness(Wire):
    """That the process answers."""

    status: Literal["ok"]


class Readiness(Wire):
    """That what the process needs answers."""

    redis: Literal["ok"]
    database: Literal["ok"]


class Health:
    """``/healthz`` and ``/readyz``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def live(self) -> Answer:
        """Answer, which is all that is asked."""
        return json_answer(Liveness(status="ok"))

    def ready(self) -> Answer:
        """Tell that Redis and the database answer, and that the schema is up to date.

        Raises:
            NotReady: saying which does not, and why.
        """
        checks = {"redis": self._check_redis, "database": self._check_database}
        problems: list[str] = []
        for name, check in checks.items():
            try:
                check()
            except ChatqError as error:
                problems.append(f"{name}: {error.detail}")
        if problems:
            raise NotReady(" ".join(problems))
        return json_answer(Readiness(redis="ok", database="ok"))

    def _check_redis(self) -> None:
        with translated():
            self._services.redis.ping()

    def _check_database(self) -> None:
        schema.check(self._services.engine)
