"""What ``chatq enqueue`` does, once the command line is understood."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chatq.cli.progress import bar
from chatq.cli.redis_services import RedisServices, build_redis, check_redis, redis_in_words
from chatq.cli.terminal import console, say
from chatq.domain.jobs import MESSAGE_FUNCTIONS, MESSAGE_JOBS, NAMES, SendMessage, function_name
from chatq.domain.wire import encode
from chatq.errors import BadUsage, ExitCode, RedisError, RequestRefused
from chatq.queue import keys
from chatq.queue.codec import prepare
from chatq.queue.connection import translated
from chatq.queue.feed import BrokenFile, Line, Tally, feed_messages, read_data, read_lines
from chatq.queue.guard import check_lanes
from chatq.queue.handler_jobs import enqueue_handler_job
from chatq.queue.watching import JobFailure, has_worker, wait_for
from chatq.settings import load


class Enqueueing:
    """One run of ``chatq enqueue``."""

    def __init__(self, name: str, services: RedisServices, *, wait: bool, json: bool) -> None:
        self._name = name
        self._services = services
        self._wait = wait
        self._json = json
        self._errors = console(stderr=True)

    @classmethod
    def open(cls, name: str, *, data_dir: str | None, wait: bool, json: bool) -> Enqueueing:
        """Return a run whose Redis answers, after saying on stderr which Redis it is.

        Raises:
            BadUsage: ``name`` is no job name.
            RedisError: Redis cannot be used.
            BadSetting: Redis has another number of lanes.
        """
        try:
            # `send_message` is `sendMessage`: both are the one function.
            kind = MESSAGE_FUNCTIONS.get(function_name(name))
        except RequestRefused as error:
            raise BadUsage(error.detail) from None
        name = NAMES[kind] if kind else name
        settings = load({"CHATQ_DATA_DIR": data_dir})
        services = build_redis(settings)
        run = cls(name, services, wait=wait, json=json)
        run._say(f"Redis: {redis_in_words(services)}")
        check_redis(services)
        check_lanes(services.redis, settings.lanes)
        queue = keys.lane_name(0) if name in MESSAGE_JOBS else keys.HANDLERS
        if name not in MESSAGE_JOBS and (near := _nearest_message_job(name)):
            run._say(f"Warning: {name} is a job for a handler of yours. Did you mean {near}?")
        if not has_worker(services.redis, queue):
            run._say("Warning: no worker is alive here; the job waits until one is started (`chatq worker`).")
        return run

    def one(self, data: Any) -> int:
        """Enqueue one job and print its ids."""
        settings = self._services.settings
        if self._name in MESSAGE_JOBS:
            job = read_data(self._name, data, settings.max_content_bytes)
            accepted = self._services.edge().submit(prepare(job, settings.lanes))
            result = {"status": "duplicate" if accepted.repeat else "queued", "jobId": accepted.job_id}
            if isinstance(job, SendMessage):
                result["messageId"] = accepted.message_id
        else:
            result = {"status": "queued", "jobId": enqueue_handler_job(self._services.redis, self._name, data)}
        failures = self._outcome([result["jobId"]])
        if self._wait:
            result["status"] = "failed" if failures else "done"
        if failures:
            result["error"] = failures[0].reason
        self._print(result, f"{result['status']} {result['jobId']}")
        return ExitCode.FAILED if failures else ExitCode.DONE

    def file(self, path: Path) -> int:
        """Enqueue a job for each line and print how many were accepted, rejected and duplicates."""
        with self._progress(path) as advance:
            tally = self._feed(path, advance)
        if tally.broken:
            self._say(tally.broken)
        failures = self._outcome(tally.job_ids)
        result: dict[str, Any] = {
            "accepted": tally.accepted,
            "rejected": tally.rejected,
            "duplicates": tally.duplicates,
        }
        text = f"{tally.accepted} accepted, {tally.rejected} rejected, {tally.duplicates} duplicates"
        if self._wait:
            result["failed"] = len(failures)
            text += f", {len(failures)} failed"
        self._print(result, text)
        return ExitCode.FAILED if tally.rejected or tally.broken or failures else ExitCode.DONE

    def _feed(self, path: Path, advance: Callable[[Line], None]) -> Tally:
        settings = self._services.settings
        if self._name not in MESSAGE_JOBS:
            return self._feed_handler(path, advance)
        try:
            return feed_messages(
                self._services.edge(),
                self._name,
                path,
                settings.lanes,
                settings.max_content_bytes,
                on_reject=lambda number, reason: self._say(f"{path}:{number}: {reason}"),
                on_progress=advance,
                on_wait=lambda reason: self._say(f"Waiting for room: {reason}"),
            )
        except RedisError:
            self._say(f"{path} was not fed to its end. Feed it again: what was accepted counts as duplicate then.")
            raise

    def _feed_handler(self, path: Path, advance: Callable[[Line], None]) -> Tally:
        tally = Tally()
        try:
            for line in read_lines(path):
                try:
                    job_id = enqueue_handler_job(self._services.redis, self._name, line.read())
                except RequestRefused as error:
                    tally.rejected += 1
                    self._say(f"{path}:{line.number}: {error.detail}")
                else:
                    tally.accepted += 1
                    tally.job_ids.append(job_id)
                advance(line)
        except BrokenFile as error:
            tally.broken = error.detail
        return tally

    def _outcome(self, job_ids: Sequence[str]) -> list[JobFailure]:
        if not self._wait:
            return []
        total = max(1, len(job_ids))
        with translated(self._services.redis_url), bar(self._errors, "waiting", "jobs") as advance:
            failures = wait_for(self._services.redis, job_ids, lambda done: advance(done, done / total))
        for failure in failures:
            self._say(f"job {failure.job_id} failed: {failure.reason}")
        return failures

    @contextmanager
    def _progress(self, path: Path) -> Iterator[Callable[[Line], None]]:
        """Show on a terminal how much of the file was read."""
        size = max(1, path.stat().st_size)
        with bar(self._errors, path.name, "lines") as advance:
            yield lambda line: advance(line.number, line.position / size)

    def _say(self, text: str) -> None:
        say(self._errors, text)

    def _print(self, result: dict[str, Any], text: str) -> None:
        sys.stdout.write((encode(result).decode() if self._json else text) + "\n")


def _nearest_message_job(name: str) -> str | None:
    """Return chatq's own job that the name of a handler's job may be a slip of the pen for, if any."""
    names = {job.lower(): job for job in MESSAGE_JOBS}
    found = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.93)
    return names[found[0]] if found else None
