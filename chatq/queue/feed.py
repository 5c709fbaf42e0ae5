"""Feeding the queue from a file: one JSON object a line, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self, cast

from chatq.domain.jobs import MessageJob, SendMessage, read_message_job
from chatq.domain.messages import DEVELOPMENT_USER, check_size
from chatq.domain.wire import parse
from chatq.errors import BadUsage, ChatqError, FieldProblem, InvalidFields, Overloaded, RequestRefused, TooLarge
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.edge import Accepted, Edge

AT_ONCE = 1000
MAX_LINE_BYTES = 1 << 20
MAX_PAUSE_SECONDS = 2


@dataclass(slots=True)
class Tally:
    """What became of a file's lines."""

    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    job_ids: list[str] = field(default_factory=list)
    broken: str | None = None
    """Where and why the file breaks off, if it does."""


class BrokenFile(ChatqError):
    """The file breaks off."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file, and how far into the file it ends."""

    number: int
    text: bytes
    position: int
    """Bytes of the file, as it lies on disk, that were read so far."""
    cut: bool
    """Whether the line goes on after ``text``, being too long."""

    def read(self) -> Any:
        """Return what the line says, as plain values.

        Raises:
            RequestRefused: it is too long, or no JSON.
        """
        if self.cut:
            raise TooLarge(f"the line has more than {MAX_LINE_BYTES} bytes; no more are allowed")
        return parse(self.text)


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file, gunzipped if it is gzipped; empty ones are left out.

    A line that has more than :data:`MAX_LINE_BYTES`, its end included, is cut.

    Raises:
        BadUsage: the file cannot be read.
        BrokenFile: it breaks off in the middle.
    """
    number = 0
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if gzipped else raw)
            while text := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                rest, cut = text, len(text) > MAX_LINE_BYTES
                while cut and not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE_BYTES)):
                    pass
                if text.strip():
                    yield Line(number, text, raw.tell(), cut)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BrokenFile(f"{path} breaks off after line {number}: {error}.") from None
    except OSError as error:
        raise BadUsage(f"--file {path}: {error.strerror or error}.") from None


def read_data(name: str, data: Any, max_content_bytes: int) -> MessageJob:
    """Return ``data``, from a person or a file, as a checked message job.

    Raises:
        RequestRefused: it cannot be used; says which fields are wrong.
    """
    job = read_message_job(name, data)
    if isinstance(job, SendMessage):
        check_size(job.message_data.content, job.message_data.metadata, max_content_bytes)
        if job.message_data.sender_id is None:
            job.message_data.sender_id = DEVELOPMENT_USER
    return job


def feed_messages(
    edge: Edge,
    name: str,
    path: Path,
    lanes: int,
    max_content_bytes: int,
    *,
    on_reject: Callable[[int, str], None],
    on_progress: Callable[[Line], None],
    on_wait: Callable[[str], None],
) -> Tally:
    """Enqueue a message job for each line, in order, and return what became of the lines.

    A ``sendMessage`` without a ``clientMessageId`` gets one computed from file name, line number and line, so
    that feeding the same file twice has no second effect.

    Raises:
        RedisError: the queue failed half-way; feeding the file again finishes it.
        BadUsage: the file cannot be read.
    """
    tally = Tally()
    batch: list[tuple[int, QueuedJob]] = []
    with _Sender(edge, tally, on_reject, on_wait) as sender:
        try:
            for line in read_lines(path):
                try:
                    batch.append((line.number, _job(name, path, line, lanes, max_content_bytes)))
                except RequestRefused as error:
                    tally.rejected += 1
                    on_reject(line.number, error.detail)
                if len(batch) >= AT_ONCE:
                    sender.send(batch)
                    batch = []
                    on_progress(line)
        except BrokenFile as error:
            tally.broken = error.detail
        sender.send(batch)
        sender.settle()
    return tally


class _Sender:
    """Submits batches of jobs in order, each while the next one is being read."""

    def __init__(
        self, edge: Edge, tally: Tally, on_reject: Callable[[int, str], None], on_wait: Callable[[str], None]
    ) -> None:
        self._edge = edge
        self._tally = tally
        self._on_reject = on_reject
        self._on_wait = on_wait
        self._thread = ThreadPoolExecutor(1, "feed")
        self._sent: Sequence[tuple[int, QueuedJob]] = []
        self._answer: Future[list[Accepted | ChatqError]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def send(self, batch: Sequence[tuple[int, QueuedJob]]) -> None:
        """Submit jobs, once all before them are accepted or refused; their answer is not waited for.

        Raises:
            RedisError: those before failed.
        """
        self.settle()
        self._sent = batch
        self._answer = self._submit()

    def settle(self) -> None:
        """Wait for what was sent last, until the queue has room for it if need be, and count what became of it.

        Raises:
            RedisError: it failed.
        """
        waits = False
        while self._answer is not None:
            try:
                outcomes = self._answer.result()
            except Overloaded as error:
                if not waits:
                    waits = True
                    self._on_wait(error.detail)
                time.sleep(min(error.retry_after, MAX_PAUSE_SECONDS))
                self._answer = self._submit()
            else:
                self._answer = None
                self._count(outcomes)

    def _submit(self) -> Future[list[Accepted | ChatqError]]:
        return self._thread.submit(self._edge.submit_many, [job for _, job in self._sent])

    def _count(self, outcomes: Sequence[Accepted | ChatqError]) -> None:
        for (number, job), outcome in zip(self._sent, outcomes, strict=True):
            if isinstance(outcome, ChatqError):
                self._tally.rejected += 1
                self._on_reject(number, outcome.detail)
                continue
            self._tally.job_ids.append(job.job_id)
            if outcome.repeat:
                self._tally.duplicates += 1
            else:
                self._tally.accepted += 1


def _job(name: str, path: Path, line: Line, lanes: int, max_content_bytes: int) -> QueuedJob:
    data = line.read()
    if not isinstance(data, dict):
        raise InvalidFields([FieldProblem("", "the line is not a JSON object")])
    job = read_data(name, data, max_content_bytes)
    if isinstance(job, SendMessage):
        if job.message_data.client_message_id is None:
            job.message_data.client_message_id = line_id(path.name, line)
        return prepare(job, lanes)
    return prepare(job, lanes, client_id=line_id(path.name, line))


def line_id(file_name: str, line: Line) -> str:
    """Return the client id of a line that has none: from file name, line number and the line."""
    # The name of a file need not be valid UTF-8.
    text = f"{file_name}\0{line.number}\0".encode(errors="surrogateescape") + line.text.rstrip(b"\r\n")
    return f"file:{hashlib.sha256(text).hexdigest()[:40]}"
