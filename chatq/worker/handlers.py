"""The loop that runs users' handlers: one job at a time, each in a process of its own.

RQ's worker does the work (timeouts, callbacks, retries, results); what is ours is how a job is taken: with
a claim in Redis that outlives the worker, so that a kill at any moment loses nothing.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import redis
import structlog
from rq import Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.queue import Queue

from chatq.errors import UnregisteredJob
from chatq.queue import keys
from chatq.queue.connection import as_bytes
from chatq.queue.handler_jobs import handler_queue
from chatq.queue.jobs import ChatqJob, JsonSerializer
from chatq.queue.scripts import run
from chatq.worker.outage import Survivor
from chatq.worker.registration import TTL_SECONDS, enter, is_entered
from chatq.worker.signals import StopSignal

IDLE_SECONDS = 1
"""How long an idle worker waits before it looks around unasked."""
REAP_SECONDS = 3.0
DUE_AT_ONCE = 100

log = structlog.get_logger("chatq.handlers")


class HandlerWorker(Worker):
    """An RQ worker that claims before it runs, and runs registered handlers only."""

    def __init__(self, client: redis.Redis, waiting: redis.Redis, queues: list[str], name: str) -> None:
        """Take ready clients; ``waiting`` waits longer than usual for answers, and for jobs alone."""
        super().__init__(
            [handler_queue(client, queue) for queue in queues],
            name=name,
            connection=client,
            job_class=ChatqJob,
            serializer=JsonSerializer,
            worker_ttl=TTL_SECONDS,
            job_monitoring_interval=TTL_SECONDS // 3,
            log_job_description=False,
        )
        self._waiting = waiting
        self._claims = keys.handler_claims(name)
        self._by_name = {queue.name: queue for queue in self.queues}
        self._reaped_at = 0.0

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Show that the worker lives; whoever finds no sign of it takes its jobs over."""
        super().heartbeat(TTL_SECONDS, pipeline)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run a job in the process that was forked for it.

        RQ has put it into a process group of its own. It comes back into ours: whoever ends all of a dead or
        hung worker's processes does so by their group, and is to reach this one as well.
        """
        try:
            os.setpgid(0, os.getpgid(os.getppid()))
        except OSError:
            # Its worker is dead already; another one runs the job.
            os._exit(1)
        super().main_work_horse(job, queue)

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """End the process that runs the job, and not its group, which is ours."""
        with suppress(ProcessLookupError):
            os.kill(self.horse_pid, sig)

    def run(self, stop: StopSignal, *, burst: bool = False) -> None:
        """Run jobs until ``stop``, or, with ``burst``, until none is ready."""
        surviving = Survivor(self.connection, None, stop)
        log.info("handlers started", worker=self.name, queues=self.queue_names())
        while not stop.stopping:
            idle = surviving(self._step)
            if idle and burst:
                break
            if idle:
                surviving(lambda: self._wait(stop))
        surviving(self._leave)
        log.info("handlers stopped", worker=self.name)

    def _step(self) -> bool:
        """Run the next job; return True if there was none."""
        if self._horse_pid:
            # Redis went away while a job ran: RQ let go of it, but it runs, and its own timeout ends it.
            self.wait_for_horse()
            self._horse_pid = 0
        self._look_around()
        if self.connection.exists(f"{keys.RQ}:suspended"):
            # A wait that began before may have brought a job.
            self._put_back()
            return True
        lists = [key for queue in self.queues for key in (queue.key, queue.scheduled_job_registry.key)]
        claimed = self.connection.lindex(self._claims, 0) or run(
            self.connection,
            "handler_claim",
            [self._claims, f"{keys.RQ}:suspended", *lists],
            [f"{time.time():.3f}", keys.JOB, DUE_AT_ONCE],
        )
        job_id = as_bytes(claimed)
        if not job_id:
            return True
        if job_id.isascii():
            self._run_job(job_id.decode())
        else:
            self._give_up(job_id, "its id is none that RQ would give")
        self.connection.execute_command("LREM", self._claims, 0, job_id)
        return False

    def _look_around(self) -> None:
        """Stay registered, and put back the jobs of workers that died."""
        if not is_entered(self):
            enter(self)
        self.heartbeat()
        # Each time: nobody would look for the claims of a worker that is missing there.
        self.connection.sadd(keys.HANDLER_WORKERS, self.name)
        if time.monotonic() - self._reaped_at > REAP_SECONDS:
            self._reaped_at = time.monotonic()
            if count := run(self.connection, "handler_reap", [keys.HANDLER_WORKERS], [keys.RQ, keys.CHATQ]):
                log.warning("jobs of a dead worker put back", count=count)

    def _run_job(self, job_id: str) -> None:
        try:
            job = cast("ChatqJob", ChatqJob.fetch(job_id, connection=self.connection))
        except NoSuchJobError as error:
            self._give_up(job_id.encode(), str(error))
            return
        if job.get_status(refresh=False) not in (JobStatus.QUEUED, JobStatus.STARTED):
            return
        job.redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]  # RQ's
        queue = self._by_name.get(job.origin) or handler_queue(self.connection, job.origin)
        try:
            job.adopt(job.find_handler())
        except UnregisteredJob as error:
            log.warning("no handler; the job failed", job_id=job.id, name=job.description, reason=error.detail)
            self._refuse(job, queue, error.detail)
            return
        log.info("job started", job_id=job.id, name=job.description)
        self.execute_job(job, queue)
        log.info("job ended", job_id=job.id, name=job.description, state=_state(job))

    def _give_up(self, job_id: bytes, reason: str) -> None:
        """Let go of a job that is gone or cannot be read; whoever waits for it learns that it failed."""
        log.warning("job not found, or not readable", job_id=job_id.decode(errors="backslashreplace"), reason=reason)
        key = keys.JOB.encode() + job_id
        if self.connection.exists(key):
            self.connection.hset(key, "status", JobStatus.FAILED)

    def _refuse(self, job: ChatqJob, queue: Queue, reason: str) -> None:
        job.retries_left = 0
        job.ended_at = datetime.now().astimezone()
        self.handle_job_failure(job, queue, exc_string=reason)

    def _wait(self, stop: StopSignal) -> bool:
        def wait() -> None:
            if not self.connection.exists(f"{keys.RQ}:suspended"):
                self._waiting.blmove(self.queues[0].key, self._claims, IDLE_SECONDS, "LEFT", "LEFT")
            else:
                time.sleep(IDLE_SECONDS)

        if not stop.wait(wait):
            # A signal cut an answer off.
            self._waiting.connection_pool.disconnect()
        return True

    def _put_back(self) -> None:
        """Give a job that came and was not begun back to the head of its queue."""
        for job_id in map(as_bytes, self.connection.lrange(self._claims, 0, -1)):
            if origin := as_bytes(self.connection.hget(keys.JOB.encode() + job_id, "origin")):
                self.connection.lpush(keys.queue("").encode() + origin, job_id)
        self.connection.delete(self._claims)

    def _leave(self) -> bool:
        # A wait that was cut off may have brought a job.
        self._put_back()
        self.connection.srem(keys.HANDLER_WORKERS, self.name)
        self.register_death()  # type: ignore[no-untyped-call]  # RQ's
        return True


def _state(job: ChatqJob) -> str:
    try:
        return str(job.get_status(refresh=True).value)
    except InvalidJobOperation:
        # It is gone from Redis, as a job is whose result nobody wants.
        return "finished"
