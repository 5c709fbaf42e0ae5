"""One run, from the first check to the last trace."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from chatq.domain.clock import timestamp
from chatq.errors import BadUsage, ChatqError
from chatq.ops.bench.access import Access
from chatq.ops.bench.http import HOST
from chatq.ops.bench.installation import Services, check_idle, describe
from chatq.ops.bench.interrupts import interruptible
from chatq.ops.bench.leftovers import remove_jobs, remove_worker
from chatq.ops.bench.names import Names
from chatq.ops.bench.processes import Guard, Process, wait_until_ready
from chatq.ops.bench.report import TITLES, Report, Section
from chatq.ops.bench.rows import remove_rows
from chatq.ops.bench.size import PER_SECOND, Size
from chatq.ops.bench.stages import Stages
from chatq.ops.bench.surroundings import machine
from chatq.version import version

Say = Callable[[str], None]
Show = Callable[[str, int, int], None]
"""Takes what is being done, its number, and how many there are."""
Command = Callable[..., tuple[str, ...]]
"""Returns the command line of chatq with the given arguments."""


class Bench:
    """A run on one installation. It starts an API and a worker of its own, and removes all that it made."""

    def __init__(
        self, services: Services, messages: int, *, command: Command, guard: Guard, say: Say, show: Show
    ) -> None:
        """Take what the run uses.

        Args:
            services: the installation.
            messages: the size of the run.
            command: how chatq is started.
            guard: ends the run's processes if this one is killed.
            say: tells people what they have to know.
            show: tells people how far the run has come.
        """
        self._services = services
        self._messages = messages
        self._size = Size(messages)
        self._command = command
        self._guard = guard
        self._say = say
        self._show = show
        self._names = Names()
        self._access = Access(services.settings, self._names.sender)
        self._processes: list[Process] = []
        self._worker: Process | None = None
        self._notes: list[str] = []
        self.left_behind = False
        """Whether something that the run made could not be removed; people have been told what."""

    def run(self) -> Report:
        """Measure everything.

        Raises:
            ChatqError: this cannot be measured now, or something failed on the way.
            KeyboardInterrupt: a signal asked for the end. This, too, only after all was removed.
        """
        self._check_size()
        check_idle(self._services)
        installation = describe(self._services)
        if others := installation.other_workers:
            self._notes.append(f"Other workers of the installation took part: {others}. All figures are theirs too.")
        date = timestamp()
        with interruptible():
            try:
                figures = self._measure()
            except KeyboardInterrupt:
                self._say("Interrupted: removing what the run has made.")
                raise
            except ChatqError:
                # What a process died of says more than what its end led to.
                self._check_processes()
                raise
            finally:
                self._clean_up()
        return Report(
            version=version(),
            date=date,
            run_id=self._names.run_id,
            messages=self._messages,
            machine=machine(),
            installation=installation,
            notes=self._notes,
            figures=figures,
        )

    def _check_size(self) -> None:
        most = self._services.settings.max_queue_depth
        if self._size.depth > most:
            raise BadUsage(
                f"--messages {self._messages}: {self._size.depth} jobs would wait at once, but "
                f"CHATQ_MAX_QUEUE_DEPTH is {most}."
            )

    def _measure(self) -> dict[str, Section]:
        services = self._services
        port = self._start_api()
        self._access.make_conversations(port, self._names.all)
        stages = Stages(
            services.redis,
            services.engine,
            services.settings.lanes,
            self._names,
            self._size,
            port=port,
            token=self._access.token,
            check=self._check_processes,
        )
        steps: dict[str, Callable[[], Section | None]] = {
            "accept": stages.accept,
            "enqueue": lambda: stages.enqueue(services.edge()),
            "drain": lambda: stages.drain(self._start_worker),
            "endToEnd": stages.end_to_end,
            "paced": lambda: stages.end_to_end(per_second=PER_SECOND),
            "fanOut": stages.fan_out,
        }
        figures: dict[str, Section] = {}
        for number, (name, step) in enumerate(steps.items(), 1):
            self._show(f"{name}: {TITLES[name]}", number, len(steps))
            section = step()
            if section is None:
                self._notes.append(f"{name} was not measured: other workers had left nothing to do.")
            else:
                figures[name] = section
        return figures

    def _start_api(self) -> int:
        with socket.socket() as free:
            free.bind((HOST, 0))
            port: int = free.getsockname()[1]
        # Flags, since a `.env` file wins over the environment.
        processes = max(1, self._services.settings.api_workers)
        where = ("--host", HOST, "--port", str(port), "--api-workers", str(processes))
        api = self._start("api", *where, environment=self._access.environment)
        wait_until_ready(api, port)
        return port

    def _start_worker(self) -> None:
        self._worker = self._start("worker", "--only", "messages")

    def _start(self, role: str, *options: str, environment: Mapping[str, str] | None = None) -> Process:
        data_dir = str(self._services.settings.data_dir)
        command = self._command(role, *options, "--data-dir", data_dir)
        process = Process(role, command, self._guard, environment or {})
        self._processes.append(process)
        return process

    def _check_processes(self) -> None:
        for process in self._processes:
            process.check()

    def _clean_up(self) -> None:
        """End the run's processes and remove what the run made; say what could not be."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.close()
        services, lanes = self._services, self._services.settings.lanes
        steps: list[Callable[[], None]] = [lambda: remove_jobs(services.redis, lanes, self._names.prefix)]
        if (worker := self._worker) is not None:
            steps.append(lambda: remove_worker(services.redis, lanes, worker.pid))
        steps.append(lambda: remove_rows(services.engine, self._names.all))
        for step in steps:
            try:
                step()
            except (ChatqError, SQLAlchemyError) as error:
                self.left_behind = True
                self._say(f"Not everything that the run made could be removed. {error}")
        if self.left_behind:
            self._say(
                f"What is left belongs to the conversations {self._names.prefix}0 to {self._names.crowd}, in the "
                "database and in the lanes."
            )
