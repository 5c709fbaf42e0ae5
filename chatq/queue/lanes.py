"""Lanes as a worker sees them: take one, claim its jobs, finish them, let it go.

A lane is an RQ queue whose jobs one worker at a time claims in order. The lease in Redis says whose it is
and ends by itself; the epoch in the database keeps out a holder that slept through the end of its lease.
"""

from __future__ import annotations

import time
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import redis

from chatq.domain.clock import timestamp
from chatq.queue import keys
from chatq.queue.claims import Claim, Finish, Held, read_claims, read_epoch
from chatq.queue.scripts import Argument, Command, Pipeline, evalsha, run

LEASE_MS = 3500
"""How long a lane stays with a worker that makes no progress; recovery is promised within 5 seconds."""
TURN_SECONDS = 0.2
"""How long a worker keeps a lane while others wait."""
BATCH = 500
"""How many jobs are claimed at most."""


class Lanes:
    """The lanes of one installation, as one worker uses them. Not for several threads.

    Each method may raise redis.RedisError; it is unknown then what was done.
    """

    def __init__(self, client: redis.Redis, count: int, worker_name: str) -> None:
        self._client = client
        self.count = count
        self._worker = worker_name
        self._worker_key = f"{keys.RQ}:worker:{worker_name}"
        self._token = uuid4().hex
        """What all tokens of this worker begin with."""
        self._reader = ThreadPoolExecutor(1, "lanes")
        """Reads what was claimed ahead, while the worker waits for the database."""
        self.unrouted = 0
        """How many jobs of plain RQ clients waited when a lane was last looked for."""

    def take(self, batch: int = BATCH) -> Held | None:
        """Take a free lane that has work and claim its first jobs, or return None."""
        token = f"{self._token}:{uuid4().hex}"
        answer = run(
            self._client,
            "take",
            [
                keys.DOORBELL,
                keys.ROTATION,
                f"{keys.RQ}:suspended",
                keys.queue(keys.MESSAGES),
                keys.BEHIND,
                self._worker_key,
            ],
            [*self._common(token, batch), self._token],
        )
        lane, epoch, jobs, self.unrouted = answer
        if lane < 0:
            return None
        return Held(lane, token, read_epoch(epoch), read_claims(jobs), time.monotonic())

    def claim_ahead(self, held: Held, batch: int = BATCH) -> None:
        """Ask for the jobs after those in hand, if that was not done yet, and do not wait for the answer.

        Nothing is asked for if one of those in hand was tried before: of those that wait for it, and are done next,
        some may be in hand themselves.
        """
        if held.ahead is None and not _tried_before(held.claims):
            asked = Pipeline(self._client, ["claim"], [self._claim_more(held, batch, len(held.claims))])
            held.ahead = self._reader.submit(_claimed, asked)

    def settle(self, held: Held) -> list[Claim]:
        """Wait for the answer to what was asked last, and return the jobs that were claimed ahead.

        Raises:
            redis.RedisError: there is none.
        """
        return held.ahead.result() if held.ahead is not None else []

    def finish(self, held: Held, finish: Finish, batch: int = BATCH) -> bool:
        """Publish, then end the claims in hand and claim more of the lane, all in one round trip.

        Afterwards ``held.claims`` are the next jobs; if there are none, the lane was let go. The answer is not
        waited for if the next jobs were claimed ahead. Returns False if the lane is another worker's by now, as far
        as is known: what was published is true all the same, nothing else changed.
        """
        following = self.settle(held)
        name = keys.lane_name(held.lane)
        finish_name = uuid4().hex
        arguments: list[Argument] = [held.token, timestamp(), f"{finish.seconds:.6f}", finish_name]
        arguments += [len(finish.done), *finish.done]
        for ended in finish.ended:
            extra = ended.attempts if ended.fate == "retry" else ended.message_id
            trace = zlib.compress(ended.trace.encode())
            arguments += [ended.job_id, ended.fate, trace, f"{ended.at:.3f}", extra, b64encode(trace)]
        finished = evalsha(
            "finish",
            [
                keys.lease(held.lane),
                keys.claims(held.lane),
                keys.started(name),
                keys.failed(name),
                f"{keys.RQ}:scheduled:{name}",
                keys.JOB,
                keys.SEEN,
                self._worker_key,
                f"{keys.RQ}:deferred:{name}",
                keys.BEHIND,
                keys.queue(name),
                keys.ENDED,
                f"{keys.RQ}:results:",
                keys.finished(held.lane),
            ],
            arguments,
        )
        published: list[Command] = [("PUBLISH", channel, payload) for channel, payload in finish.publish]
        more = 0 if _tried_before(following) else batch
        claimed = self._claim_more(held, more, len(following), behind=finish_name)
        asked = Pipeline(self._client, ["finish", "claim"], published, [finished, claimed])
        if following:
            held.claims, held.ahead = following, self._reader.submit(_claimed, asked)
            return True
        kept, jobs = asked.answers()[-2:]
        held.claims, held.ahead = read_claims(jobs or []), None
        return bool(kept)

    def hold(self, held: Held, *, epoch: int | None = None) -> bool:
        """Renew the lease, and record the epoch if one is given; False if the lane is another worker's."""
        arguments: list[Argument] = [held.token, LEASE_MS, "" if epoch is None else epoch]
        kept = run(self._client, "hold", [keys.lease(held.lane), keys.epoch(held.lane)], arguments)
        if epoch is not None:
            held.epoch = epoch
        return bool(kept)

    def give_back(self, held: Held) -> None:
        """Put the claimed jobs back at the head of their lane, in order, and let the lane go."""
        self.settle(held)
        run(self._client, "give_back", [], [held.token, keys.RQ, keys.CHATQ, held.lane])
        held.claims, held.ahead = [], None

    def wait(self, client: redis.Redis, seconds: float) -> None:
        """Wait until the doorbell rings, ``seconds`` at most. ``client`` must not time out before."""
        client.blpop([keys.DOORBELL], timeout=seconds)

    def _claim_more(self, held: Held, batch: int, in_hand: int, *, behind: str = "") -> Command:
        """Return the command; ``behind`` names the finish that goes before it."""
        turn_over = time.monotonic() - held.since > TURN_SECONDS
        arguments = [*self._common(held.token, batch), held.lane, int(turn_over), in_hand, behind]
        own_keys = [
            keys.DOORBELL,
            f"{keys.RQ}:suspended",
            self._worker_key,
            keys.BEHIND,
            keys.finished(held.lane),
        ]
        return evalsha("claim", own_keys, arguments)

    def _common(self, token: str, batch: int) -> list[Argument]:
        now = time.time()
        return [
            token,
            LEASE_MS,
            batch,
            self.count,
            keys.RQ,
            keys.CHATQ,
            f"{now:.3f}",
            timestamp(now),
            self._worker,
        ]


def _tried_before(claims: list[Claim]) -> bool:
    return any(claim.tried_before for claim in claims)


def _claimed(asked: Pipeline) -> list[Claim]:
    return read_claims(asked.answers()[-1] or [])
