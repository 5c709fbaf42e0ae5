"""Handlers of one's own: how their jobs are run, and what is never run, whatever lies in Redis."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rq import Callback, Queue, Worker
from rq.job import Job
from rq.registry import BaseRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.results import Result as Outcome
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from chatq.worker.registration import TTL_SECONDS
from tests.parts.command import Running
from tests.parts.installation import Installation
from tests.parts.processes import descendants
from tests.parts.waiting import until

APP = """
import time
from pathlib import Path

from chatq import handler


def note(text):
    with Path("notes").open("a") as file:
        file.write(f"{text}\\n")


def succeeded(job, connection, result):
    note(f"success {result}")


def failed(job, connection, kind, error, trace):
    note(f"failure {kind.__name__}: {error}")


@handler("addNumbers", on_success=succeeded, on_failure=failed)
def add(a, b=0):
    return {"sum": int(a) + int(b)}


@handler("double")
def double(number):
    return 2 * number


@handler("forget", result_ttl=0)
def forget():
    note("forgot")
    return "nothing"


@handler("fail", attempts=3, on_success=succeeded, on_failure=failed)
def fail():
    note(f"attempt {time.time()}")
    raise ValueError("no luck")


@handler("recover", attempts=2, on_success=succeeded, on_failure=failed)
def recover():
    if not Path("broken").exists():
        Path("broken").touch()
        raise ValueError("no luck")
    return "recovered"


@handler("sleep", timeout=1, attempts=1)
def sleep():
    time.sleep(60)


@handler("makeThumbnail", queue="images")
def make_thumbnail(name):
    note(f"thumbnail {name}")


@handler("waitForWord", attempts=1)
def wait_for_word():
    note("began")
    for _ in range(3000):
        if Path("word").exists():
            note("done")
            return
        time.sleep(0.01)
"""


SEND = b'["chatq.jobs.send_message",null,[],{"conversationId":"general","messageData":{"content":"from nobody"}}]'


class Handlers:
    """An installation with a module of handlers, and what they did."""

    def __init__(self, installation: Installation, directory: Path) -> None:
        self.installation = installation
        self.directory = directory
        (directory / "app.py").write_text(APP)

    def start(self) -> Running:
        return self.installation.start_handlers("app")

    def work_off(self) -> str:
        """Run all jobs that are ready, and return the log."""
        worker = self.installation.start("worker", "--only", "handlers", "--app", "app", "--burst")
        assert worker.wait() == 0, worker.output
        return "".join(worker.stderr)

    def notes(self) -> list[str]:
        """Return what the handlers have noted."""
        path = self.directory / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def enqueue(self, name: str, *arguments: str) -> str:
        """Enqueue a job, which must be accepted, and return its id."""
        result = self.installation("enqueue", name, *arguments, "--json")
        assert result.code == 0, result
        return str(result.json["jobId"])

    def queue(self, name: str = "default") -> Queue:
        """Return a queue as a stock RQ client has it."""
        return self.installation.queue(name)

    def job(self, job_id: str) -> Job:
        """Return a job as a stock RQ client sees it."""
        return Job.fetch(job_id, connection=self.installation.redis, serializer=JSONSerializer)

    def ids(self, registry: type[BaseRegistry], queue: str = "default") -> list[str]:
        """Return the ids of the jobs in one of RQ's registries."""
        return registry(queue=self.queue(queue)).get_job_ids()

    def reason(self, job_id: str) -> str:
        """Return why a job has failed."""
        assert job_id in self.ids(FailedJobRegistry)
        outcome = self.job(job_id).latest_result()
        assert outcome is not None
        assert outcome.type is Outcome.Type.FAILED
        return (outcome.exc_string or "").strip().splitlines()[-1]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Handlers have nothing to do with the database, so one kind of it will do."""
    return sqlite_url


@pytest.fixture
def handlers(installation: Installation, tmp_path: Path) -> Handlers:
    return Handlers(installation, tmp_path)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that accepts nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


# --- how jobs are run ----------------------------------------------------------------------------


def test_data_become_arguments_and_the_result_is_rqs(handlers: Handlers) -> None:
    # Given jobs with an object as their data, with fields, with a mere number, and one whose result nobody wants
    with_object = handlers.enqueue("addNumbers", "--data", '{"a": 1, "b": 2}')
    with_fields = handlers.enqueue("addNumbers", "a=40", "b=2")
    with_number = handlers.enqueue("double", "--data", "21")
    forgotten = handlers.enqueue("forget")
    # When they are run
    handlers.work_off()
    # Then RQ has their results, and nothing of the one that keeps none
    assert handlers.job(with_object).return_value() == {"sum": 3}
    assert handlers.job(with_fields).return_value() == {"sum": 42}
    assert handlers.job(with_number).return_value() == 42
    assert set(handlers.ids(FinishedJobRegistry)) == {with_object, with_fields, with_number}
    assert handlers.installation.redis.keys(f"*{forgotten}*") == []
    # And the callbacks were called
    assert handlers.notes() == ["success {'sum': 3}", "success {'sum': 42}", "forgot"]


def test_the_command_waits_for_a_handler(handlers: Handlers) -> None:
    # Given a worker
    handlers.start()
    # When jobs are waited for, then the command says how they ended, also of one that leaves nothing behind
    for name, *arguments in (("addNumbers", "a=1"), ("forget",)):
        done = handlers.installation("enqueue", name, *arguments, "--wait", "--json")
        assert (done.code, done.json["status"]) == (0, "done")
        assert "Warning" not in done.stderr
    failed = handlers.installation("enqueue", "sleep", "--wait", "--json")
    assert (failed.code, failed.json["status"]) == (1, "failed")
    assert "Task exceeded maximum timeout value (1 seconds)" in failed.json["error"]


def test_a_job_that_fails_is_tried_again_with_growing_waits(handlers: Handlers) -> None:
    # Given a worker, and a job that has three attempts
    handlers.start()
    job_id = handlers.enqueue("fail")
    # When all of them have failed
    until(lambda: job_id in handlers.ids(FailedJobRegistry), what="the end of a job")
    # Then the second wait was longer than the first one can be, and only the last failure was told
    *attempts, told = handlers.notes()
    assert told == "failure ValueError: no luck"
    first, second, third = (float(attempt.removeprefix("attempt ")) for attempt in attempts)
    assert first < second < third - 1
    # And the job rests with its traceback
    assert handlers.reason(job_id) == "ValueError: no luck"
    assert handlers.ids(ScheduledJobRegistry) == handlers.ids(StartedJobRegistry) == []


def test_a_job_that_recovers_has_not_failed(handlers: Handlers) -> None:
    handlers.start()
    done = handlers.installation("enqueue", "recover", "--wait", "--json")
    assert (done.code, done.json["status"]) == (0, "done")
    assert handlers.notes() == ["success recovered"]
    assert handlers.ids(FailedJobRegistry) == []


def test_a_handlers_own_queue_is_listened_to(handlers: Handlers) -> None:
    # Given jobs of one handler, in its own queue and where the command puts them
    handlers.queue("images").enqueue("chatq.jobs.make_thumbnail", name="own")
    handlers.enqueue("makeThumbnail", "name=default")
    # When they are run, then none is left out
    handlers.work_off()
    assert sorted(handlers.notes()) == ["thumbnail default", "thumbnail own"]


def test_a_signal_to_end_lets_the_job_finish(handlers: Handlers) -> None:
    # Given a worker in the middle of a job, and one job more
    worker = handlers.start()
    running, waiting = handlers.enqueue("waitForWord"), handlers.enqueue("forget")
    until(lambda: handlers.notes() == ["began"], what="a running job")
    # When it is told to end, and the job goes on
    worker.send_signal(signal.SIGTERM)
    (handlers.directory / "word").touch()
    # Then the job is done, and no other one was begun
    assert worker.wait() == 0
    assert handlers.notes() == ["began", "done"]
    assert handlers.ids(FinishedJobRegistry) == [running]
    assert handlers.queue().job_ids == [waiting]


def test_a_killed_workers_job_is_done_by_another(handlers: Handlers) -> None:
    # Given a worker in the middle of a job
    first = handlers.start()
    job_id = handlers.enqueue("waitForWord")
    until(lambda: handlers.notes() == ["began"], what="a running job")
    # When it is killed with the process that runs the job, what it said of itself last expires, and there is another
    (sign,) = Worker.all_keys(handlers.installation.redis)
    for pid in [first.pid, *descendants(first.pid)]:
        with suppress(ProcessLookupError):  # it ends by itself without its parent
            os.kill(pid, signal.SIGKILL)
    first.process.wait()
    assert 0 < handlers.installation.redis.ttl(sign) <= TTL_SECONDS
    handlers.installation.redis.expire(sign, 0)
    handlers.start()
    (handlers.directory / "word").touch()
    # Then the other misses it, and does the job
    until(lambda: job_id in handlers.ids(FinishedJobRegistry), what="a job done by another worker")
    assert handlers.notes() == ["began", "began", "done"]
    assert handlers.ids(StartedJobRegistry) == handlers.ids(FailedJobRegistry) == []


# --- what is never run ---------------------------------------------------------------------------


def test_an_unknown_name_is_a_warning_and_a_failed_job_at_once(handlers: Handlers) -> None:
    # Given a job that no handler is there for
    job_id = handlers.enqueue("resizeImage", "width=200")
    # When it is taken, then it has failed for good
    log = handlers.work_off()
    reason = "No handler is registered for 'chatq.jobs.resize_image', so it was not run."
    assert handlers.reason(job_id) == reason
    assert any("warning" in line and reason in line for line in log.splitlines())
    # And whoever waits for one is told
    handlers.start()
    waited = handlers.installation("enqueue", "resizeImage", "--wait", "--json")
    assert (waited.code, waited.json["status"], waited.json["error"]) == (1, "failed", reason)


class Planted:
    """What a pickle that is loaded would do: create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def test_nothing_is_run_that_is_not_registered(handlers: Handlers, listener: socket.socket, tmp_path: Path) -> None:
    # Given jobs that a stock RQ client has enqueued: of functions that nobody registered
    touch = f"touch {tmp_path}/harm"
    default = handlers.queue()
    unregistered = [
        default.enqueue("os.system", touch),
        default.enqueue("subprocess.getoutput", touch),
        default.enqueue("app.note", touch),
        default.enqueue("chatq.jobs.send_message", conversationId="general", messageData={"content": "hello"}),
    ]
    # And with callbacks that nobody registered
    harm = Callback("os.system")
    callbacks = [
        default.enqueue("chatq.jobs.add_numbers", 1, on_success=harm),
        default.enqueue("chatq.jobs.add_numbers", touch, on_failure=harm),
        default.enqueue("chatq.jobs.add_numbers", 1, on_stopped=harm),
    ]
    # And pickled ones
    pickled = [
        Queue(connection=handlers.installation.redis).enqueue(os.system, touch),
        default.enqueue("chatq.jobs.double", 1),
    ]
    harmful = pickle.dumps(Planted(tmp_path / "harm"))
    for key, field in ((pickled[0].key, "data"), (pickled[1].key, "meta"), (pickled[1].key, "result")):
        handlers.installation.redis.hset(key, field, zlib.compress(harmful) if field == "data" else harmful)
    # And with web addresses to tell of their end
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    hooks = [Webhook(url, "finished"), Webhook(url, "failed")]
    hooked = [
        default.enqueue("chatq.jobs.add_numbers", 1, webhooks=hooks),
        default.enqueue("chatq.jobs.sleep", webhooks=hooks),
        default.enqueue("os.system", touch, webhooks=hooks),
    ]
    # When they are taken
    handlers.work_off()
    # Then no harm is done, and nobody was told
    assert not (tmp_path / "harm").exists()
    assert touch not in handlers.notes()
    with pytest.raises(BlockingIOError):
        listener.accept()
    # And what asked for harm has failed, with the reason
    for job in unregistered:
        assert handlers.reason(job.id) == f"No handler is registered for {job.func_name!r}, so it was not run."
    for job in callbacks:
        assert handlers.reason(job.id) == "The job's callback 'os.system' is not registered, so the job was not run."
    assert handlers.reason(pickled[0].id).startswith("The job's data are not JSON; ")
    # And what only carried it is done
    assert handlers.job(pickled[1].id).return_value() == 2
    assert handlers.job(hooked[0].id).return_value() == {"sum": 1}
    assert "maximum timeout value" in handlers.reason(hooked[1].id)
    assert handlers.reason(hooked[2].id) == "No handler is registered for 'os.system', so it was not run."


def test_a_job_that_nobody_can_read_stops_no_other(handlers: Handlers) -> None:
    # Given jobs in whose hashes somebody has written nonsense, and a good job behind them
    spoilt = [("created_at", b"soon"), ("timeout", b"x"), ("status", b"odd"), ("success_callback_name", b"\xff")]
    jobs = [handlers.queue().enqueue("chatq.jobs.forget") for _ in spoilt]
    for job, (field, value) in zip(jobs, spoilt, strict=True):
        handlers.installation.redis.hset(job.key, field, value)
    good = handlers.enqueue("addNumbers", "a=1")
    # When they are taken
    log = handlers.work_off()
    # Then the good one is done, and each of the others is a line in the log
    assert handlers.job(good).return_value() == {"sum": 1}
    assert handlers.notes() == ["success {'sum': 1}"]
    for job in jobs:
        assert any("warning" in line and job.id in line for line in log.splitlines())


def test_whoever_waits_for_a_job_that_nobody_can_read_learns_that_it_failed(handlers: Handlers) -> None:
    # Given a job in whose hash somebody has written nonsense, and somebody who waits for it
    waiting = handlers.installation.start("enqueue", "addNumbers", "a=1", "--wait", "--json")
    until(lambda: handlers.queue().count == 1, what="the job queued")
    (job_id,) = handlers.queue().get_job_ids()
    handlers.installation.redis.hset(f"rq:job:{job_id}", mapping={"created_at": b"soon", "status": b"odd"})
    # When a worker comes, then the wait is over
    handlers.work_off()
    assert waiting.wait() == 1
    assert json.loads(waiting.stdout[0])["error"] == "what Redis has of it cannot be read"


def test_an_id_that_is_no_text_stops_no_job(handlers: Handlers) -> None:
    # Given queues of every kind in which somebody wrote such an id, one with a job and one without, before a good one
    installation = handlers.installation
    for queue, data in (("default", b'["a",null,[],{}]'), ("messages", SEND), ("messages:0", SEND)):
        named = b"\xfe" + queue.encode()
        installation.redis.rpush(f"rq:queue:{queue}", b"\xff", named)
        installation.redis.hset(b"rq:job:" + named, mapping={"status": b"queued", "data": data})
    good = handlers.enqueue("addNumbers", "a=1")
    installation.send("hello", "general")
    # When they are worked off, then the good ones are done, and the others have failed
    log = handlers.work_off()
    installation.work_off()
    assert handlers.job(good).return_value() == {"sum": 1}
    assert installation.contents() == ["hello"]
    assert log.count("its id is none that RQ would give") == 2
    for queue in ("default", "messages", "messages:0"):
        assert installation.redis.llen(f"rq:queue:{queue}") == 0
        assert installation.redis.hget(b"rq:job:\xfe" + queue.encode(), "status") == b"failed"


# --- modules that cannot be used -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, "--app broken: there is no module 'broken' here or installed."),
        ("import nowhere", "--app broken: it imports 'nowhere', which is not installed."),
        ("def f(:", "--app broken: importing it failed: SyntaxError: "),
        ("x = 1\n1 / (x - 1)", "--app broken: importing it failed: ZeroDivisionError: division by zero ("),
        ("raise ValueError('a\\nb')", "--app broken: importing it failed: ValueError: a"),
        ("import sys\nsys.exit('no')", "--app broken: importing it failed: SystemExit: no ("),
        (
            "import chatq\n@chatq.handler('sendMessage')\ndef f(): pass",
            "@handler('sendMessage'): this is one of chatq's own jobs.",
        ),
        (
            "import chatq\n@chatq.handler('a')\ndef f(): pass\n@chatq.handler('a')\ndef g(): pass",
            "@handler('a'): 'a' is registered already.",
        ),
        (
            "import chatq, json\nchatq.handler('a')(json.loads)\ndef loads(): pass\nchatq.handler('a')(loads)",
            "@handler('a'): 'a' is registered already.",
        ),
        ("import chatq\n@chatq.handler('a b')\ndef f(): pass", "@handler('a b'): 'a b' is no job name"),
        ("import chatq\n@chatq.handler('a', attempts=0)\ndef f(): pass", "@handler('a'): attempts and timeout start"),
    ],
)
def test_a_module_that_cannot_be_used_is_one_clear_line(
    handlers: Handlers, tmp_path: Path, source: str | None, said: str
) -> None:
    if source is not None:
        (tmp_path / "broken.py").write_text(source)
    ended = handlers.installation("worker", "--only", "handlers", "--app", "broken", "--burst")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"chatq: {said}")
    assert ended.stderr.count("\n") == 1
