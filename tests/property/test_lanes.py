"""The scripts that move jobs through lanes, driven by several workers in any order, against a model.

After every step the whole of Redis is compared with the model: each lane's list and claims in order, who holds
the lane, and RQ's registries. RQ's own readers, and an operator with RQ's tools, are at work in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry, clean_registries
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend
from rq.worker_registration import clean_worker_registry

from chatq.cli.compose import Services
from chatq.domain.ids import lane_of
from chatq.domain.jobs import SendMessage
from chatq.domain.messages import MessageData
from chatq.queue import keys
from chatq.queue.claims import Ended, Finish, Held
from chatq.queue.codec import QueuedJob, prepare
from chatq.queue.connection import as_text
from chatq.queue.lanes import Lanes
from tests.parts.lane import ids, services
from tests.parts.valkey import Valkey

LANES, WORKERS = 2, 3
CONVERSATIONS = [next(f"c{n}" for n in range(100) if lane_of(f"c{n}", LANES) == lane) for lane in range(LANES)]

lanes = st.integers(0, LANES - 1)
sizes = st.integers(1, 4)


@dataclass
class Lane:
    """What the model knows of a lane."""

    queue: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)
    holder: int | None = None
    epoch: int | None = None
    scheduled: list[str] = field(default_factory=list)
    """Not due yet; those that are due are released at the next look."""
    due: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    behind: dict[str, list[str]] = field(default_factory=dict)

    @property
    def has_work(self) -> bool:
        return bool(self.queue or self.claims or self.due)

    def release_due(self) -> None:
        self.queue += sorted(self.due)
        self.due = []

    def release_orphans(self, canceled: set[str]) -> None:
        """Let those go on who wait behind what was cancelled."""
        for id_ in canceled & self.behind.keys():
            self.queue[:0] = self.behind.pop(id_)

    def give_back(self, canceled: set[str]) -> int:
        count = len(self.claims)
        self.queue = [id_ for id_ in self.claims if id_ not in canceled] + self.queue
        self.claims = []
        return count

    def claim(self, most: int) -> list[str]:
        claimed, self.queue = self.queue[:most], self.queue[most:]
        self.claims += claimed
        return claimed


class LaneMachine(RuleBasedStateMachine):
    """Several workers, an edge, an operator and RQ's readers, taking turns."""

    services: Services
    """Set by the test that runs the machine."""

    @initialize()
    def begin(self) -> None:
        self.redis = self.services.redis
        self.redis.flushdb()
        self.edge = self.services.edge()
        self.workers = [Lanes(self.redis, LANES, f"worker-{number}") for number in range(WORKERS)]
        self.held: list[Held | None] = [None] * WORKERS
        self.model = [Lane() for _ in range(LANES)]
        self.jobs: dict[str, QueuedJob] = {}
        self.over: set[str] = set()
        self.expired: set[str] = set()
        self.canceled: set[str] = set()
        self.tried: set[str] = set()
        """Jobs that were retried, or failed and were queued again."""
        self.first = 0
        self.suspended = False
        self.number = 0
        for lane in range(LANES):
            self.enqueue(lane, 5)

    # --- the edge --------------------------------------------------------------------------------

    @rule(lane=lanes, count=sizes)
    def enqueue(self, lane: int, count: int) -> None:
        made = []
        for _ in range(count):
            self.number += 1
            data = MessageData(sender_id="alice", content="x", client_message_id=str(self.number))
            made.append(prepare(SendMessage(conversation_id=CONVERSATIONS[lane], message_data=data), LANES))
        outcomes = self.edge.submit_many(made)
        assert [getattr(outcome, "repeat", outcome) for outcome in outcomes] == [False] * count
        self.jobs |= {job.job_id: job for job in made}
        self.model[lane].queue += [job.job_id for job in made]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def enqueue_again(self, data: st.DataObject) -> None:
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        lane = self.model[job.lane]
        resting = job.job_id in self.expired or job.job_id in lane.failed
        resting = resting or (job.job_id in self.canceled and job.job_id not in lane.claims)
        if job.job_id in self.canceled and job.job_id in lane.claims:
            return
        assert self.edge.submit(job).repeat is not resting
        if resting:
            self.canceled.discard(job.job_id)
            self.expired.discard(job.job_id)
            self.tried.add(job.job_id)
            if job.job_id in lane.failed:
                lane.failed.remove(job.job_id)
            lane.queue.append(job.job_id)

    # --- the workers -----------------------------------------------------------------------------

    @precondition(lambda self: None in self.held)
    @rule(batch=sizes, data=st.data())
    def take(self, batch: int, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([w for w in range(WORKERS) if self.held[w] is None]))
        held = self.workers[worker].take(batch)
        if self.suspended:
            assert held is None
            return
        order = [(self.first + step) % LANES for step in range(LANES)]
        for number in order:
            self.model[number].release_orphans(self.canceled)
        for number in order:
            self.model[number].release_due()
        free = [n for n in order if self.model[n].holder in (None, worker)]
        ready = [n for n in free if self.model[n].queue or self.model[n].claims]
        if not ready:
            assert held is None
            return
        assert held is not None
        lane = self.model[ready[0]]
        assert held.lane == ready[0]
        if lane.give_back(self.canceled):
            lane.epoch = None
        assert held.epoch == lane.epoch
        assert ids(held) == lane.claim(batch)
        lane.holder = worker
        self.first = (ready[0] + 1) % LANES
        self.held[worker] = held

    # Work is what goes on most of the time: hypothesis chooses among rules without weights.

    @precondition(lambda self: None in self.held)
    @rule(batch=sizes, data=st.data())
    def take_too(self, batch: int, data: st.DataObject) -> None:
        self.take(batch, data)

    @precondition(lambda self: any(self.held))
    @rule(batch=sizes, data=st.data())
    def finish_too(self, batch: int, data: st.DataObject) -> None:
        self.finish(batch, False, data)

    @precondition(lambda self: any(self.held))
    @rule(batch=sizes, data=st.data())
    def finish_and_go_on(self, batch: int, data: st.DataObject) -> None:
        self.finish(batch, False, data)
        if any(self.held):
            self.finish(batch, False, data)

    @precondition(lambda self: any(self.held))
    @rule(epoch=st.integers(1, 9), data=st.data())
    def hold(self, epoch: int, data: st.DataObject) -> None:
        worker, held = self._holder(data)
        lane = self.model[held.lane]
        assert self.workers[worker].hold(held, epoch=epoch) == (lane.holder == worker)
        if lane.holder == worker:
            lane.epoch = epoch

    @precondition(lambda self: any(self.held))
    @rule(batch=st.integers(0, 4), turn_over=st.booleans(), data=st.data())
    def finish(self, batch: int, turn_over: bool, data: st.DataObject) -> None:
        worker, held = self._holder(data)
        finish = self._outcome(ids(held), data)
        held.since = time.monotonic() - (60 if turn_over else -60)
        lane = self.model[held.lane]
        ahead = [claim.job_id for claim in self.workers[worker].settle(held)]
        kept = self.workers[worker].finish(held, finish, batch)
        claimed = [claim.job_id for claim in self.workers[worker].settle(held)] if ahead else ids(held)
        if ahead:
            # Whether the lane was lost shows when these are finished.
            assert kept
            assert ids(held) == ahead
        else:
            assert kept == (lane.holder == worker)
        if lane.holder != worker:
            assert claimed == []
            if not ahead:
                self.held[worker] = None
            return
        self._end(lane, finish)
        # For a message that was tried before, some may wait that come before all that is claimed later.
        batch = 0 if self.tried & set(ahead) else batch
        assert claimed == self._claim_more(lane, batch, turn_over=turn_over, in_hand=bool(ahead))
        if not held.claims:
            lane.holder = None
            self.held[worker] = None

    @precondition(lambda self: any(held and held.ahead is None for held in self.held))
    @rule(batch=sizes, data=st.data())
    def claim_ahead(self, batch: int, data: st.DataObject) -> None:
        worker, held = self._holder(data)
        if held.ahead is not None:
            return
        held.since = time.monotonic() + 60
        self.workers[worker].claim_ahead(held, batch)
        claimed = [claim.job_id for claim in self.workers[worker].settle(held)]
        lane = self.model[held.lane]
        if lane.holder != worker or self.tried & set(ids(held)):
            assert claimed == []
        else:
            assert claimed == self._claim_more(lane, batch, turn_over=False, in_hand=True)

    def _claim_more(self, lane: Lane, batch: int, *, turn_over: bool, in_hand: bool) -> list[str]:
        others = [other for other in self.model if other is not lane and other.holder is None and other.has_work]
        if self.suspended or (turn_over and others):
            return []
        if in_hand and any(any_lane.behind for any_lane in self.model):
            return []
        lane.release_due()
        return lane.claim(batch)

    @precondition(lambda self: any(self.held))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        worker, held = self._holder(data)
        self.workers[worker].give_back(held)
        lane = self.model[held.lane]
        if lane.holder == worker:
            lane.give_back(self.canceled)
            lane.holder = None
        self.held[worker] = None

    @precondition(lambda self: any(self.held))
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker, _ = self._holder(data)
        # Its lease stays until it ends; another process takes its place.
        self.held[worker] = None
        for lane in self.model:
            if lane.holder == worker:
                lane.holder = -1
        self.workers[worker] = Lanes(self.redis, LANES, f"worker-{worker}")

    @precondition(lambda self: any(lane.holder is not None for lane in self.model))
    @rule(data=st.data())
    def lose_a_lease(self, data: st.DataObject) -> None:
        self.end_lease(data.draw(st.sampled_from([n for n, lane in enumerate(self.model) if lane.holder is not None])))

    def end_lease(self, lane: int) -> None:
        self.redis.delete(keys.lease(lane))
        self.model[lane].holder = None

    @precondition(lambda self: any(lane.scheduled for lane in self.model))
    @rule()
    def let_time_pass(self) -> None:
        for lane in range(LANES):
            self.make_due(lane)

    def make_due(self, lane: int) -> None:
        model = self.model[lane]
        if model.scheduled:
            self.redis.zadd(f"{keys.RQ}:scheduled:{keys.lane_name(lane)}", dict.fromkeys(model.scheduled, 0))
        model.due += model.scheduled
        model.scheduled = []

    # --- an operator with RQ's tools ---------------------------------------------------------------

    @rule(on=st.sampled_from([False, False, False, True]))
    def suspend(self, on: bool) -> None:
        (suspend if on else resume)(self.redis)
        self.suspended = on

    @precondition(lambda self: self._cancelable())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        choice = self._cancelable()
        id_ = data.draw(st.sampled_from(choice))
        self._rq_job(id_).cancel()
        self.canceled.add(id_)
        for lane in self.model:
            if id_ in lane.queue:
                lane.queue.remove(id_)

    @precondition(lambda self: any(lane.failed for lane in self.model))
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        choice = sorted(id_ for lane in self.model for id_ in lane.failed)
        id_ = data.draw(st.sampled_from(choice))
        self._rq_job(id_).requeue()
        self.tried.add(id_)
        lane = self.model[self.jobs[id_].lane]
        lane.failed.remove(id_)
        lane.queue.append(id_)

    @rule()
    def look_with_rq(self) -> None:
        Worker.all(connection=self.redis)
        for queue in map(self._rq_queue, range(LANES)):
            clean_registries(queue)
            StartedJobRegistry(queue=queue).cleanup(timestamp=time.time() + 24 * 3600)
            clean_worker_registry(queue)
            assert [job.id for job in queue.jobs] == self.model[int(queue.name[-1])].queue

    # --- the comparison ----------------------------------------------------------------------------

    @invariant()
    def redis_is_as_modelled(self) -> None:
        if not hasattr(self, "model"):
            return
        for number, lane in enumerate(self.model):
            name = keys.lane_name(number)
            assert self._list(keys.queue(name)) == lane.queue
            assert self._list(keys.claims(number)) == lane.claims
            assert (self.redis.get(keys.lease(number)) is None) == (lane.holder is None)
            # Leases end when this test says so, however slow the machine is.
            self.redis.persist(keys.lease(number))
            queue = self._rq_queue(number)
            started = StartedJobRegistry(queue=queue)
            assert started.count == len(lane.claims)
            assert sorted(started.get_job_ids()) == sorted(lane.claims)
            assert sorted(FailedJobRegistry(queue=queue).get_job_ids()) == sorted(lane.failed)
            assert sorted(queue.scheduled_job_registry.get_job_ids()) == sorted(lane.scheduled + lane.due)
            deferred = [id_ for waiting in lane.behind.values() for id_ in waiting]
            assert sorted(queue.deferred_job_registry.get_job_ids()) == sorted(deferred)
            everywhere = lane.queue + lane.claims + lane.failed + lane.scheduled + lane.due + deferred
            assert len(everywhere) == len(set(everywhere))
        for id_ in self.over:
            assert not self.redis.exists(keys.job(id_))
        for id_ in self.expired:
            assert self.redis.hget(keys.job(id_), "status") in (b"canceled", "canceled")
            assert 0 < self.redis.ttl(keys.job(id_)) <= 60

    def teardown(self) -> None:
        """See that everything that was accepted and not ended otherwise is done in the end, in order."""
        if not hasattr(self, "model"):
            return
        self.suspend(False)
        for number in range(LANES):
            self.make_due(number)
            self.end_lease(number)
        last = Lanes(self.redis, LANES, "last")
        done: list[list[str]] = [[] for _ in range(LANES)]
        while (held := last.take()) is not None:
            while held.claims:
                done[held.lane] += ids(held)
                assert last.finish(held, Finish(done=ids(held)))
        for lane, finished in zip(self.model, done, strict=True):
            lane.release_due()
            lane.give_back(self.canceled)
            expected = list(lane.queue)
            left = dict(lane.behind)
            assert [id_ for id_ in finished if id_ in expected] == expected
            assert sorted(finished) == sorted(expected + [id_ for waiting in left.values() for id_ in waiting])
        self.redis.flushdb()

    # --- how --------------------------------------------------------------------------------------

    def _holder(self, data: st.DataObject) -> tuple[int, Held]:
        """Choose a worker that believes to hold a lane."""
        return data.draw(st.sampled_from([(w, held) for w, held in enumerate(self.held) if held is not None]))

    def _cancelable(self) -> list[str]:
        ids_ = {id_ for lane in self.model for id_ in lane.queue + lane.claims} - self.canceled
        waited_for = {id_ for lane in self.model for id_ in lane.behind}
        if self.canceled & waited_for:
            # Who waits behind two of them goes on in any order.
            ids_ -= waited_for
        return sorted(ids_)

    def _outcome(self, claimed: list[str], data: st.DataObject) -> Finish:
        """Choose what becomes of the claimed jobs."""
        finish = Finish()
        retried: list[str] = []
        for id_ in claimed:
            fate: Any = data.draw(st.sampled_from(["done", "done", "failed", "retry", "gone", "behind"]))
            if fate == "behind" and retried:
                finish.ended.append(Ended(id_, "behind", at=time.time(), message_id=retried[0]))
            elif fate in ("done", "behind"):
                finish.done.append(id_)
            else:
                retried += [id_] if fate == "retry" else []
                at = time.time() + (1000 if fate in ("failed", "retry") else 0)
                finish.ended.append(Ended(id_, fate, "why", at, attempts=1))
        return finish

    def _end(self, lane: Lane, finish: Finish) -> None:
        over = list(finish.done)
        self.over.update(finish.done)
        for ended in finish.ended:
            if ended.fate == "failed":
                lane.failed.append(ended.job_id)
                over.append(ended.job_id)
            elif ended.fate == "gone":
                self.expired.add(ended.job_id)
                over.append(ended.job_id)
            elif ended.fate == "retry":
                lane.scheduled.append(ended.job_id)
                self.tried.add(ended.job_id)
            else:
                lane.behind.setdefault(ended.message_id, []).append(ended.job_id)
        for id_ in [*finish.done, *(ended.job_id for ended in finish.ended)]:
            self.canceled.discard(id_)
            if id_ in lane.claims:
                lane.claims.remove(id_)
        for id_ in over:
            lane.queue[:0] = lane.behind.pop(id_, [])

    def _rq_queue(self, lane: int) -> Queue:
        return Queue(keys.lane_name(lane), connection=self.redis, serializer=JSONSerializer)

    def _rq_job(self, id_: str) -> Job:
        return Job.fetch(id_, connection=self.redis, serializer=JSONSerializer)

    def _list(self, key: str) -> list[str]:
        return [as_text(raw) for raw in self.redis.lrange(key, 0, -1)]


@pytest.fixture
def quick_valkey(short_path: Path) -> Iterator[Valkey]:
    """A Valkey that does not wait for the disk: nothing has to survive it here, and some 10,000 writes take long."""
    server = Valkey(short_path, appendonly="no").start()
    yield server
    server.kill()


@pytest.mark.usefixtures("long_leases")
def test_workers_in_any_order_keep_every_lane_in_order(quick_valkey: Valkey) -> None:
    ready = services(quick_valkey.url, LANES)

    class Machine(LaneMachine):
        services = ready

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            # To shrink takes minutes: a failure tells its steps anyway.
            phases=[Phase.generate],
        ),
    )
