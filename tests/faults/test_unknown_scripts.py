"""A Redis that does not know the scripts, and learns them in the middle of a pipeline."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.queue.scripts import source
from tests.faults.splitter import Splitter
from tests.faults.task import Task, raise_faults
from tests.parts.lane import message, services
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


def test_jobs_keep_their_order_though_redis_learns_the_script_between_them(valkey: Valkey, short_path: Path) -> None:
    # Given two jobs on their way to a Redis that was just started, in one pipeline, and a slow network
    jobs = [message("one"), message("two")]
    splitter = Splitter(short_path / "proxy.sock", valkey.socket, jobs[1].job_id.encode())
    edge = services(splitter.url).edge()

    def submit() -> None:
        edge.submit_many(jobs)

    submitting = Task(submit)
    submitting.start()
    with closing(splitter), closing(connect(valkey.url)) as client:
        until(splitter.held.is_set, what="the network in the middle")
        # When somebody else tells Redis the script between them
        client.script_load(source("enqueue"))
        splitter.go_on.set()
        submitting.join()
        raise_faults([submitting])
        # Then they are in order
        assert client.lrange(keys.queue(keys.lane_name(0)), 0, -1) == [job.job_id.encode() for job in jobs]
