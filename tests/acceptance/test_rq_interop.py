"""RQ's own clients, tools and registries beside chatq's workers: what they do works, what they say is true."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from rq import Worker
from rq.job import Job, requeue_job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry, clean_registries
from rq.serializers import JSONSerializer
from sqlalchemy import Engine

from chatq.domain.ids import computed_id
from tests.parts.installation import LANES, Installation
from tests.parts.ports import free_port, listens
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_SECONDS, until

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What Redis alone decides is tried on one kind of database."""

UNKNOWN = computed_id("general", "nobody", "nothing")


class Rq:
    """The command ``rq``, used on an installation's Redis."""

    def __init__(self, installation: Installation) -> None:
        self._url = installation.environment["REDIS_URL"]

    def __call__(self, *args: str) -> str:
        """Run ``rq``, which must succeed, and return what it prints."""
        command = [sys.executable, "-W", "ignore", "-m", "rq.cli", *args, "--url", self._url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture
def rq(installation: Installation) -> Rq:
    return Rq(installation)


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    """Let nobody else write to the database."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection = connection.execution_options(chatq_write=True)
        with connection.begin():
            if engine.dialect.name != "sqlite":
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                connection.exec_driver_sql("LOCK TABLE lanes, messages IN ACCESS EXCLUSIVE MODE")
            yield


def lane_of(installation: Installation, conversation: str = "general") -> str:
    """Return the name of the RQ queue in which a conversation's jobs wait."""
    return f"messages:{installation.prepare('sendMessage', conversationId=conversation, content='x').lane}"


def state_of(installation: Installation, job_id: str) -> str:
    job = Job.fetch(job_id, connection=installation.redis, serializer=JSONSerializer)
    return str(job.get_status().value)


# --- clients -------------------------------------------------------------------------------------


def test_a_stock_clients_jobs_are_done_at_once_and_in_order(installation: Installation) -> None:
    # Given a worker that has nothing to do
    installation.start_worker()
    # When a plain RQ client enqueues messages, and an edit of the first one
    queue = installation.queue("messages")
    for number in range(1, 4):
        data = {"senderId": "alice", "content": f"message {number}", "clientMessageId": str(number)}
        queue.enqueue("chatq.jobs.send_message", conversationId="general", messageData=data)
    first = computed_id("general", "alice", "1")
    queue.enqueue("chatq.jobs.edit_message", messageId=first, content="edited")
    # Then they are stored within about a second, and leave nothing behind
    until(lambda: len(installation.frames()) == 4, what="four events")
    assert installation.contents() == ["edited", "message 2", "message 3"]
    until(lambda: installation.redis.keys("rq:job:*") == [], what="no jobs in Redis")


@on_one_database
def test_nothing_is_kept_of_jobs_that_are_done(installation: Installation) -> None:
    # Given a thousand messages, some from a plain RQ client
    worker = installation.start_worker()
    installation.send_all([f"message {number}" for number in range(950)])
    for number in range(50):
        data = {"senderId": "bob", "content": f"from bob {number}"}
        installation.queue("messages").enqueue("chatq.jobs.send_message", conversationId="bobs", messageData=data)
    # When all are done
    until(lambda: len(installation.contents()) == 950 and len(installation.contents("bobs")) == 50, what="all messages")
    # Then RQ has counted them
    until(lambda: [each.successful_job_count for each in Worker.all(installation.redis)] == [1000], what="their count")
    # And nothing is left in Redis but the worker, and what there is once for each installation and each lane
    assert worker.terminate() == 0
    left = {key if isinstance(key, str) else key.decode() for key in installation.redis.keys("*")}
    assert {key for key in left if not key.startswith(("chatq:", "rq:worker:"))} == {"rq:queues"}
    assert not {key for key in left if key.startswith("chatq:seen:")}
    assert len(left) <= 8 + LANES


# --- tools ---------------------------------------------------------------------------------------


@on_one_database
def test_rq_info_shows_the_queues_and_the_workers(installation: Installation, rq: Rq) -> None:
    # Given a worker of each kind, and jobs that nobody does since work is suspended
    rq("suspend")
    messages = installation.start_worker()
    handlers = installation.start("worker", "--only", "handlers")
    handlers.wait_for("handlers started")
    installation.send("hello")
    installation.put("deleteMessage", messageId=installation.send("good-bye"))
    assert installation("enqueue", "resizeImage", "width=200").code == 0
    until(lambda: len(Worker.all(installation.redis)) == 2, what="two workers")
    # When RQ's tools look around, then they see them
    lane = lane_of(installation)
    shown = rq("info", "--raw").splitlines()
    assert f"queue {lane} 3, 0 executing, 0 finished, 0 failed" in shown
    assert "queue default 1, 0 executing, 0 finished, 0 failed" in shown
    for process, queues in ((messages, f"messages, {', '.join(installation.lane_names())}"), (handlers, "default")):
        (line,) = [line for line in shown if f" {process.pid}) " in line]
        assert line.endswith(f" idle {queues}. jobs: 0 finished, 0 failed")
    assert {worker.pid for worker in Worker.all(installation.redis)} == {messages.pid, handlers.pid}
    # And when the workers have ended, they see them no more
    assert messages.terminate() == handlers.terminate() == 0
    assert Worker.all(installation.redis) == []
    assert "0 workers, " in rq("info")


@on_one_database
def test_suspended_workers_take_nothing_until_they_may(installation: Installation, rq: Rq) -> None:
    # Given work that is suspended, and a job of each kind and of a plain RQ client
    rq("suspend")
    installation.send("hello")
    data = {"senderId": "alice", "content": "from elsewhere"}
    installation.queue("messages").enqueue("chatq.jobs.send_message", conversationId="general", messageData=data)
    assert installation("enqueue", "resizeImage").code == 0
    # When workers look for jobs that are ready, then there is none
    for kind in ("messages", "handlers"):
        assert installation("worker", "--only", kind, "--burst").code == 0
    assert installation.contents() == []
    assert (installation.waiting(), installation.queue("default").count) == (2, 1)
    # And when work is resumed, then all is done
    rq("resume")
    for kind in ("messages", "handlers"):
        assert installation("worker", "--only", kind, "--burst").code == 0
    assert installation.contents() == ["hello", "from elsewhere"]
    assert (installation.waiting(), installation.queue("default").count) == (0, 0)


@on_one_database
def test_workers_that_run_are_suspended_and_resumed(installation: Installation, rq: Rq) -> None:
    # Given workers of both kinds that have been suspended while they ran
    installation.start_worker()
    installation.start("worker", "--only", "handlers").wait_for("handlers started")
    installation.send("before")
    installation.wait_for_contents(["before"])
    rq("suspend")
    # When jobs come, then no worker takes them, though another one that is started later ends for want of work
    installation.send("after")
    job_id = installation("enqueue", "resizeImage", "--json").json["jobId"]
    installation.work_off()
    assert installation.contents() == ["before"]
    assert state_of(installation, job_id) == "queued"
    # And when work is resumed, then they are taken
    rq("resume")
    installation.wait_for_contents(["before", "after"])
    until(lambda: state_of(installation, job_id) == "failed", what="a job without a handler failed")


@on_one_database
def test_a_dashboard_shows_queues_workers_and_what_failed(installation: Installation) -> None:
    # Given a job that waits for a worker of its kind, and one that failed
    worker = installation.start_worker()
    installation.send("hello")
    installation.wait_for_contents(["hello"])
    assert installation("enqueue", "resizeImage").code == 0
    assert installation("enqueue", "deleteMessage", f"messageId={UNKNOWN}", "--wait").code == 1
    # When the dashboard of RQ's users runs beside it, then it shows them, and disturbs nothing
    with dashboard(installation) as shown:
        queues = {queue["name"]: queue for queue in shown("queues")["queues"]}
        assert queues["default"]["count"] == 1
        (lane,) = [name for name, queue in queues.items() if queue["failed_job_registry_count"]]
        (failed,) = shown(f"jobs/{lane}/failed/8/asc/1")["jobs"]
        assert (failed["description"], failed["exc_info"]) == ("deleteMessage", f"There is no message {UNKNOWN}.")
        (seen,) = shown("workers")["workers"]
        assert (seen["pid"], seen["successful_job_count"], seen["failed_job_count"]) == (worker.pid, 1, 1)
    installation.send("good-bye")
    installation.wait_for_contents(["hello", "good-bye"])


@contextmanager
def dashboard(installation: Installation) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Run rq-dashboard, and yield what asks it."""
    port = free_port()
    # Its dependencies are its own affair, their warnings as well.
    command = [sys.executable, "-W", "ignore", "-m", "rq_dashboard", "-b", "127.0.0.1", "-p", str(port)]
    command += ["-u", installation.environment["REDIS_URL"]]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/0/data/", timeout=PATIENCE_SECONDS) as http,
    ):
        until(lambda: listens(port), what="the dashboard")
        yield lambda path: http.get(f"{path}.json").raise_for_status().json()
        process.terminate()


# --- registries ----------------------------------------------------------------------------------


def test_started_jobs_are_those_in_hand_and_no_cleaning_disturbs_them(installation: Installation) -> None:
    # Given a worker that has claimed jobs and waits for the database
    installation.start_worker()
    queue = installation.queue(lane_of(installation))
    registry = StartedJobRegistry(queue=queue)
    with locked(installation.engine):
        jobs = installation.send_all(["one", "two", "three"])
        # When RQ looks, then it sees them started, by this worker
        until(lambda: sorted(registry.get_job_ids()) == sorted(jobs), what="three started jobs")
        # And when it cleans up, then it takes none of them for abandoned
        clean_registries(queue)
        registry.cleanup()
        assert FailedJobRegistry(queue=queue).get_job_ids() == []
    # Then they are done, in order, and nothing is left
    installation.wait_for_contents(["one", "two", "three"])
    until(lambda: not installation.redis.keys("rq:job:*"), what="no job left")
    assert registry.get_job_ids() == FailedJobRegistry(queue=queue).get_job_ids() == []
    assert installation.waiting() == 0


def by_command(installation: Installation, rq: Rq, job_id: str) -> None:
    rq("requeue", "--queue", lane_of(installation), "--serializer", "json", job_id)


def by_client(installation: Installation, rq: Rq, job_id: str) -> None:
    requeue_job(job_id, connection=installation.redis, serializer=JSONSerializer)


REFUSE = {
    "sqlite": [
        """
        CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.content = 'odd'
        BEGIN SELECT RAISE(ABORT, 'no oddities'); END
    """
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.content = 'odd' THEN RAISE EXCEPTION 'no oddities' USING ERRCODE = 'check_violation'; END IF;
            RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
ALLOW = {"sqlite": "DROP TRIGGER refuse", "postgresql": "DROP TRIGGER refuse ON messages"}


@pytest.mark.parametrize(
    ("database_url", "requeue"), [("sqlite", by_command), ("postgres", by_client)], indirect=["database_url"]
)
def test_a_failed_message_that_is_requeued_has_all_its_attempts_again(
    installation: Installation, rq: Rq, requeue: Callable[[Installation, Rq, str], None]
) -> None:
    dialect = installation.engine.dialect.name
    scheduled = ScheduledJobRegistry(queue=installation.queue(lane_of(installation)))
    # Given a message that the database does not take
    installation.execute(*REFUSE[dialect])
    job_id = installation.send("odd")
    installation.send("even")
    # When all its attempts are used up, and none was waited for
    for _ in range(4):
        logged = installation.work_off()
        # Each time the log says why, and not what people have written
        assert re.findall(r'"reason": "(.*?)"', logged) == ["no oddities"]
        assert scheduled.get_job_ids() == [job_id]
        installation.redis.zadd(scheduled.key, {job_id: 0})
    installation.work_off()
    # Then it rests with its traceback, and the one behind it is stored
    assert installation.failed_ids() == [job_id]
    outcome = Job.fetch(job_id, connection=installation.redis, serializer=JSONSerializer).latest_result()
    assert outcome is not None
    assert "no oddities" in (outcome.exc_string or "")
    assert installation.contents() == ["even"]
    # When somebody requeues it, and the database does still not take it, then it waits for another attempt
    requeue(installation, rq, job_id)
    assert installation.failed_ids() == []
    installation.work_off()
    assert scheduled.get_job_ids() == [job_id]
    # And when the database takes it, then it is stored with the next number, and no failure any more
    installation.execute(ALLOW[dialect])
    installation.redis.zadd(scheduled.key, {job_id: 0})
    installation.work_off()
    assert installation.contents() == ["even", "odd"]
    assert [frame["seq"] for frame in installation.frames()] == [1, 2]
    assert installation.one("SELECT resolved_at FROM failures").resolved_at is not None
    assert installation.redis.keys("rq:job:*") == []
