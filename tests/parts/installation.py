"""An installation as its operator sees it: the ``chatq`` command, and SQL and RQ beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import redis
from rq import Queue
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from sqlalchemy import Engine, text

from chatq.cli.compose import Services, build
from chatq.domain.jobs import read_message_job
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.edge import Accepted, Edge
from chatq.settings import load
from chatq.store import schema
from tests.parts.command import Chatq, Running
from tests.parts.forking import COMMAND
from tests.parts.waiting import until

LANES = 8


class Installation:
    """Runs commands against one Redis and one database that has its tables, and looks at what they did there."""

    def __init__(self, chatq: Chatq, redis_url: str, database_url: str) -> None:
        self.chatq = chatq
        self.environment = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
        schema.upgrade(self.engine)

    @cached_property
    def services(self) -> Services:
        """The services of a process of this installation."""
        services = build(load({}, {**self.environment, "CHATQ_DATA_DIR": str(self.chatq.directory / "data")}))
        self.chatq.also_close(services.engine.dispose)
        return services

    @property
    def engine(self) -> Engine:
        """An engine for its database."""
        return self.services.engine

    @property
    def redis(self) -> redis.Redis:
        """A client for its Redis; answers are bytes."""
        return self.services.redis

    @cached_property
    def edge(self) -> Edge:
        """An edge, as the API has one."""
        return self.services.edge()

    def __call__(self, *args: str, env: Mapping[str, str] | None = None, **options: Any) -> Result:
        """Run ``chatq`` with ``args``; whatever happens, it must not end in a traceback."""
        result = self.chatq.run_forked(*args, env={**self.environment, **(env or {})}, **options)
        assert "Traceback" not in result.stderr, result.stderr
        return Result(result)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> Running:
        """Start ``chatq`` with ``args`` and leave it running."""
        return self.chatq.fork(COMMAND, *args, env={**self.environment, **(env or {})})

    def start_worker(self, env: Mapping[str, str] | None = None) -> Running:
        """Start a process that does message jobs, and return it once it works."""
        worker = self.start("worker", "--only", "messages", env=env)
        worker.wait_for("worker started")
        return worker

    def start_handlers(self, module: str, env: Mapping[str, str] | None = None) -> Running:
        """Start a process that runs the handlers of ``module``, and return it once it works."""
        worker = self.start("worker", "--only", "handlers", "--app", module, env=env)
        worker.wait_for("handlers started")
        return worker

    def work_off(self) -> str:
        """Do all message jobs that are ready, and return what the worker logged."""
        result = self("worker", "--only", "messages", "--burst")
        assert result.code == 0, result.stderr
        return result.stderr

    # --- jobs ------------------------------------------------------------------------------------

    def prepare(self, name: str, **data: Any) -> QueuedJob:
        """Return a message job that is ready to be enqueued; the fields of a message stand flat."""
        return prepare(read_message_job(name, {"senderId": "alice"} | data if name == "sendMessage" else data), LANES)

    def put(self, name: str, **data: Any) -> Accepted:
        """Enqueue a message job."""
        return self.edge.submit(self.prepare(name, **data))

    def send(self, content: str, conversation: str = "general", **data: Any) -> str:
        """Enqueue a message, by default alice's, and return its id."""
        return self.put("sendMessage", conversationId=conversation, content=content, **data).message_id

    def send_all(self, contents: Iterable[str], conversation: str = "general") -> list[str]:
        """Enqueue many messages at once and return their ids."""
        jobs = [self.prepare("sendMessage", conversationId=conversation, content=content) for content in contents]
        self.edge.submit_many(jobs)
        return [job.message_id for job in jobs]

    # --- what is in the database -----------------------------------------------------------------

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Return the rows of a query in SQL, however many there are."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            return list(connection.execute(text(query), parameters).all())

    def one(self, query: str, **parameters: Any) -> Any:
        """Return the only row of a query."""
        (row,) = self.rows(query, **parameters)
        return row

    def execute(self, *statements: str) -> None:
        """Run statements in a transaction of their own."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def contents(self, conversation: str = "general") -> list[str]:
        """Return the contents of a conversation's messages, in order."""
        query = "SELECT content FROM messages WHERE conversation_id = :id ORDER BY seq"
        return [row.content for row in self.rows(query, id=conversation)]

    def frames(self, conversation: str = "general") -> list[dict[str, Any]]:
        """Return a conversation's events as clients get them, in order, after checking that none is missing."""
        rows = self.rows(
            "SELECT seq, type, payload FROM events WHERE conversation_id = :id ORDER BY seq", id=conversation
        )
        frames = [json.loads(row.payload) for row in rows]
        assert [frame["seq"] for frame in frames] == [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert [frame["type"] for frame in frames] == [row.type for row in rows]
        return frames

    def wait_for_contents(self, contents: list[str], conversation: str = "general") -> None:
        """Wait until the conversation's messages are these, in this order."""
        until(lambda: len(self.contents(conversation)) >= len(contents), what=f"{len(contents)} messages")
        assert self.contents(conversation) == contents

    # --- what RQ says ----------------------------------------------------------------------------

    def queue(self, name: str) -> Queue:
        """Return an RQ queue, as any RQ client would with the JSON serializer."""
        return Queue(name, connection=self.redis, serializer=JSONSerializer)

    def lane_names(self) -> list[str]:
        """Return the names of the lanes' RQ queues."""
        return [f"messages:{lane}" for lane in range(LANES)]

    def failed_ids(self) -> list[str]:
        """Return the ids of the message jobs in RQ's registries of failed jobs."""
        queues = [self.queue(name) for name in ["messages", *self.lane_names()]]
        return [id_ for queue in queues for id_ in FailedJobRegistry(queue=queue).get_job_ids()]

    def started(self) -> int:
        """Return how many message jobs RQ holds for started."""
        return sum(StartedJobRegistry(queue=self.queue(name)).count for name in self.lane_names())

    def waiting(self) -> int:
        """Return how many message jobs wait in RQ's queues."""
        return sum(self.queue(name).count for name in ["messages", *self.lane_names()])


class Result:
    """What a command answered."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
