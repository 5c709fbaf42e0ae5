"""A whole system: Valkey, a database, message workers and APIs, each of which can be killed and replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, RLock, Thread

from sqlalchemy import Engine

from chatq.store import schema
from chatq.store.engine import create_engine
from tests.faults.databases import Database
from tests.faults.processes import Api, Process, Worker
from tests.parts.ports import free_port
from tests.parts.root import ROOT
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

LOOK_SECONDS = 0.1


class System:
    """Takes a Valkey that runs and sets its database up; workers and APIs are started by the test.

    ``directory`` is where they run, and where their logs lie.
    """

    def __init__(self, directory: Path, valkey: Valkey, database: Database, lanes: int = 8) -> None:
        self.directory = directory
        self.valkey = valkey
        self.database = database
        self.lanes = lanes
        self.engine: Engine = create_engine(self.database_url)
        schema.upgrade(self.engine)
        self.workers: list[Worker] = []
        self.apis: list[Api] = []
        self._numbers = count(1)
        self._lock = RLock()
        self._ending = Event()
        self._keeper: Thread | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": database.url,
            "CHATQ_DATA_DIR": str(directory / "data"),
            "CHATQ_DURABILITY": "aof",
            "CHATQ_LANES": str(lanes),
            "CHATQ_LOG_FORMAT": "console",
        }

    @property
    def database_url(self) -> str:
        """The URL of the database, for SQLAlchemy."""
        return self.database.url.replace("postgresql://", "postgresql+psycopg://")

    def start_worker(self) -> Worker:
        """Start a message worker."""
        with self._lock:
            worker = Worker(self._environment, self._log("worker"))
            self.workers.append(worker)
            return worker

    def start_ready_worker(self) -> Worker:
        """Start a message worker and return it once it waits for work."""
        worker = self.start_worker()
        worker.wait_until_ready()
        return worker

    def start_api(self, port: int | None = None) -> Api:
        """Start an API and return it once it serves."""
        with self._lock:
            api = Api(port or free_port(), self._environment, self._log("api"))
            self.apis.append(api)
        until(api.answers, what=f"an API that serves; its log is {api.log}")
        return api

    def keep_alive(self) -> None:
        """Replace from now on every worker and API that dies."""
        self._keeper = Thread(target=self._keep)
        self._keeper.start()

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Let all workers sleep meanwhile, so that they find what comes in one batch afterwards."""
        workers = [worker for worker in self.workers if worker.alive]
        for worker in workers:
            worker.freeze()
        yield
        for worker in workers:
            worker.wake()

    def close(self) -> None:
        """Kill all workers and APIs."""
        self._ending.set()
        if self._keeper is not None:
            self._keeper.join()
        for process in [*self.workers, *self.apis]:
            process.kill()
        self.engine.dispose()

    def _keep(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            with self._lock:
                for worker in [worker for worker in self.workers if not worker.alive]:
                    self._bury(worker)
                    self.workers.remove(worker)
                    self.start_worker()
                for at, api in enumerate(self.apis):
                    if not api.alive:
                        self._bury(api)
                        self.apis[at] = Api(api.port, self._environment, self._log("api"))

    def _bury(self, process: Process) -> None:
        # With its children, which may have outlived it.
        process.kill()

    def _log(self, kind: str) -> Path:
        return self.directory / f"{kind}.{next(self._numbers):03}.log"
