"""Works off all lanes once; see the package."""

from __future__ import annotations

import hashlib
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.benchmarks.limit.postgres import Postgres
from tests.benchmarks.limit.rows import read, write
from tests.benchmarks.limit.sqlite import Sqlite
from tests.benchmarks.limit.wire import Argument, Wire

LEASE_MS = 3500
YEAR = 365 * 24 * 3600
JOB = "rq:job:"
WORKER = "limit"


class Loop:
    """Claims, applies, publishes and finishes, lane by lane."""

    def __init__(self, wire: Wire, database: Postgres | Sqlite, batch: int) -> None:
        self._wire = wire
        self._database = database
        self._batch = batch
        self._token = uuid4().hex
        self._scripts = {name: self._load(name) for name in ("claim", "finish")}

    def work_off(self, lane: int) -> None:
        """Work a lane off."""
        epoch = self._database.take_over(lane)
        claimed = self._wire.send([self._claim(lane)])[-1]
        while claimed:
            assert isinstance(claimed, list)
            began = time.monotonic()
            jobs = read(claimed)
            now = _now()
            make = partial(write, jobs, now=now)
            rows = self._database.apply(lane, epoch, jobs, make, now)
            commands: list[tuple[Argument, ...]] = [
                ("PUBLISH", f"chatq:conversation:{conversation}", "\n".join(frames))
                for conversation, frames in rows.frames.items()
            ]
            commands.append(self._finish(lane, [job.id for job in jobs], time.monotonic() - began))
            commands.append(self._claim(lane))
            finished, claimed = self._wire.send(commands)[-2:]
            assert finished == 1, "the lane was lost"

    def _claim(self, lane: int) -> tuple[Argument, ...]:
        name = f"messages:{lane}"
        keys = f"rq:queue:{name}", f"chatq:lane:{lane}:claims", f"rq:wip:{name}", f"chatq:lane:{lane}:lease"
        year_ahead = f"{time.time() + YEAR:.3f}"
        arguments = self._token, LEASE_MS, self._batch, year_ahead, _now(), WORKER, JOB
        return "EVALSHA", self._scripts["claim"], len(keys), *keys, *arguments

    def _finish(self, lane: int, ids: list[str], seconds: float) -> tuple[Argument, ...]:
        own = f"chatq:lane:{lane}"
        keys = [f"{own}:lease", f"{own}:claims", f"rq:wip:messages:{lane}", f"rq:worker:{WORKER}"]
        keys += ["chatq:behind", "chatq:ended"]
        return "EVALSHA", self._scripts["finish"], len(keys), *keys, self._token, JOB, f"{seconds:.6f}", *ids

    def _load(self, name: str) -> str:
        source = Path(__file__).with_name(f"{name}.lua").read_text()
        self._wire.send([("SCRIPT", "LOAD", source)])
        return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def main(redis_url: str, database_url: str, variant: str, batch: str, lanes: str) -> None:
    """Work off all lanes once."""
    database: Postgres | Sqlite
    if database_url.startswith("sqlite:///"):
        database = Sqlite(database_url.removeprefix("sqlite:///"))
    else:
        database = Postgres(database_url, variant)
    loop = Loop(Wire(redis_url), database, int(batch))
    for lane in range(int(lanes)):
        loop.work_off(lane)


main(*sys.argv[1:])
