"""A Redis that forgets its scripts, or all that it has, at the worst moments."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import redis

from chatq.domain.clock import timestamp
from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.queue.edge import SCRIPT_JOBS
from chatq.queue.guard import check_installation, check_lanes
from chatq.queue.lanes import Lanes
from chatq.queue.scripts import source
from chatq.worker.registration import Registration
from tests.faults.splitter import Forgetful, Splitter
from tests.faults.task import Task, raise_faults
from tests.parts.lane import message, services, work_off
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


def test_jobs_keep_their_order_though_redis_learns_the_script_between_them(valkey: Valkey, short_path: Path) -> None:
    # Given more jobs than one script accepts, on a slow network, and a Redis that has just forgotten all scripts
    jobs = [message(f"message {number}") for number in range(SCRIPT_JOBS + 2)]
    splitter = Splitter(short_path / "proxy.sock", valkey.socket, jobs[-1].job_id.encode())
    edge = services(splitter.url).edge()
    edge.submit(jobs[0])

    def submit() -> None:
        edge.submit_many(jobs[1:])

    submitting = Task(submit)
    with closing(splitter), closing(connect(valkey.url)) as client:
        client.script_flush()
        submitting.start()
        until(splitter.held.is_set, what="the network in the middle")
        # When somebody else tells Redis the script between them
        client.script_load(source("enqueue"))
        splitter.go_on.set()
        submitting.join()
        raise_faults([submitting])
        # Then they are in order
        assert client.lrange(keys.queue(keys.lane_name(0)), 0, -1) == [job.job_id.encode() for job in jobs]


def test_a_redis_that_always_forgets_its_scripts_accepts_and_does_jobs_all_the_same(
    valkey: Valkey, short_path: Path
) -> None:
    # Given a Redis that forgets all scripts before each thing that it is asked
    forgetful = Forgetful(short_path / "proxy.sock", valkey.socket, redis.Redis.script_flush)
    edge = services(forgetful.url).edge()
    lanes = Lanes(connect(forgetful.url), 1, "worker")
    with closing(forgetful):
        # When jobs are accepted and worked off
        jobs = [message(f"message {number}") for number in range(4)]
        for job in jobs:
            edge.submit(job)
        held = lanes.take(1)
        assert held is not None
        lanes.claim_ahead(held, 2)
        # Then each is done once, in order
        assert work_off(lanes, held, 1) == [job.job_id for job in jobs]


def test_a_redis_that_is_emptied_again_and_again_is_nobody_else_s(valkey: Valkey, short_path: Path) -> None:
    # Given a Redis that is emptied before each thing that it is asked
    forgetful = Forgetful(short_path / "proxy.sock", valkey.socket, redis.Redis.flushall)
    with closing(forgetful), closing(connect(forgetful.url)) as client:
        # Then an installation whose Redis it was does not take it for another's
        check_installation(client, "one", "its database")
        check_lanes(client, 3)


def test_a_worker_of_which_an_emptied_redis_has_a_mere_heartbeat_is_registered_anew(valkey: Valkey) -> None:
    with closing(connect(valkey.url)) as client:
        # Given a Redis that was emptied just before a worker's heartbeat
        key = f"{keys.RQ}:worker:messages.1"
        client.hset(key, "last_heartbeat", timestamp())
        # When the worker's heart beats again
        Registration(client, "messages.1", 1, lambda: None).beat()
        # Then RQ knows of it
        assert client.smembers(f"{keys.RQ}:workers") == {key.encode()}
