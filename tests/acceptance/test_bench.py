"""`chatq bench` on a real installation: what it says, and that nothing of it is left, however it ends.

The sizes are tiny and the machine is busy: the figures say nothing here, and no test looks at how good they are.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatq.ops.bench.rows import remove_rows
from chatq.queue.connection import as_text
from tests.parts.command import Chatq, Running
from tests.parts.installation import Installation
from tests.parts.people import SECRET
from tests.parts.processes import children, descendants, kill_child, processes
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

TABLES = {
    "conversations": "id",
    "messages": "conversation_id",
    "events": "conversation_id",
    "members": "conversation_id",
    "failures": "conversation_id",
}
NOTHING: dict[str, list[str]] = {table: [] for table in TABLES}
STAGES: dict[str, set[str]] = {
    "accept": {"accept"},
    "enqueue": set(),
    "drain": set(),
    "endToEnd": {"accept", "stored", "delivered", "total"},
    "paced": {"accept", "stored", "delivered", "total"},
    "fanOut": {"accept", "total"},
}
SIZES = {"accept": 60, "enqueue": 180, "endToEnd": 60, "paced": 60, "fanOut": 5}
"""Messages of each section with ``--messages 60``; how many the drain counts depends on its first batch."""


@pytest.fixture
def on_sqlite(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> Iterator[Installation]:
    installation = Installation(chatq, valkey.url, sqlite_url)
    yield installation
    installation.engine.dispose()


def rows(installation: Installation) -> dict[str, list[str]]:
    """Return the conversation of each row, by table."""
    return {
        table: sorted(str(row[0]) for row in installation.rows(f"SELECT {column} FROM {table}"))
        for table, column in TABLES.items()
    }


def traces(installation: Installation) -> list[str]:
    """Return the names of what a run may not leave in Redis: jobs, what belongs to them, and workers."""
    durable = ("chatq:installation", "chatq:lanes", "chatq:lane:", "chatq:ended", "chatq:rotation", "chatq:doorbell")
    # RQ's own list of its queues names those that were ever used; leases, of lanes and of processes, end by themselves.
    allowed = (*durable, "rq:queues", "chatq:presence")
    names = (as_text(key) for key in installation.redis.scan_iter())
    return [name for name in names if not name.endswith(":lease") and not name.startswith(allowed)]


def is_clean(installation: Installation, before: dict[str, list[str]]) -> None:
    """Check that the database is as before, that Redis has no trace of a run, and that no process runs."""
    assert rows(installation) == before
    assert traces(installation) == []
    directory = installation.services.settings.data_dir
    assert [process for process in processes() if str(directory) in process.command] == []


def start(installation: Installation, messages: int) -> Running:
    """Start a run and return it once messages wait or are stored."""
    running = installation.start("bench", "--messages", str(messages))
    until(lambda: installation.redis.exists("rq:queues"), what="messages")
    return running


# --- where tokens are asked for --------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"CHATQ_JWT_SECRET": SECRET, "CHATQ_JWT_AUDIENCE": "chat"},
        {"CHATQ_JWT_JWKS_URL": "http://127.0.0.1:1/keys"},
    ],
    ids=["secret", "public keys"],
)
def test_it_lets_itself_in(on_sqlite: Installation, settings: dict[str, str]) -> None:
    result = on_sqlite("bench", "--messages", "60", "--json", timeout=120, env=settings)
    assert result.code == 0, result
    assert set(result.json["figures"]) == set(STAGES)
    assert "a secret" not in result.stdout + result.stderr
    assert rows(on_sqlite) == NOTHING


# --- what it measures ----------------------------------------------------------------------------


def test_it_measures_everything_and_leaves_what_was_there(installation: Installation) -> None:
    # Given an installation with a conversation of its users
    installation.send("hello")
    installation.work_off()
    installation.redis.delete(*installation.redis.keys("rq:worker:*"))
    before = rows(installation)
    # When it is measured
    result = installation("bench", "--messages", "60", "--json", timeout=120)
    # Then there is one document with every section
    assert result.code == 0, result
    assert result.stdout.count("\n") == 1
    report = result.json
    assert set(report["figures"]) == set(STAGES)
    for name, section in report["figures"].items():
        assert section["rate"] > 0
        assert section["seconds"] > 0
        assert section["messages"] == SIZES.get(name, section["messages"]) > 0
        assert set(section["stages"]) == STAGES[name]
        assert all(0 <= stage["p50Ms"] <= stage["p99Ms"] for stage in section["stages"].values())
    assert report["figures"]["fanOut"]["unit"] == "deliveries"
    assert report["notes"] == []
    assert "comparison" not in report
    # And it says of what and on what
    assert report["messages"] == 60
    assert set(report) == {"version", "date", "runId", "messages", "machine", "installation", "notes", "figures"}
    assert report["machine"]["cores"] > 0
    assert report["machine"]["memoryBytes"] > 0
    measured = report["installation"]
    assert measured["redis"].startswith("Valkey ")
    assert measured["redis"].endswith(", appendfsync always")
    assert measured["database"].startswith(("SQLite ", "PostgreSQL "))
    assert "s3cret" not in result.stdout + result.stderr
    assert (measured["durability"], measured["lanes"], measured["apiWorkers"]) == ("memory", 8, 1)
    # And stderr has what it uses, and no progress where nobody looks
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["Redis", "Database"]
    # And nothing of it is left
    is_clean(installation, before)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """What another version printed, on a machine of 999 cores: a slow accept, a fast drain, and no fan-out."""
    section = {"messages": 40, "seconds": 1.0, "stages": {}}
    report = {
        "version": "0.0.1",
        "date": "2026-01-02T03:04:05.678Z",
        "runId": "0123456789ab",
        "messages": 40,
        "fromAnotherVersion": True,
        "machine": {"system": "Linux", "cpu": "a fast one", "cores": 999, "memoryBytes": 1, "python": "3.11.0"},
        "installation": {
            "redis": "Valkey 9.1.2",
            "redisUrl": "redis://elsewhere/0",
            "database": "SQLite 3.40.1",
            "databaseUrl": "sqlite:////elsewhere.sqlite3",
            "durability": "memory",
            "lanes": 8,
            "apiWorkers": 1,
            "otherWorkers": 0,
        },
        "notes": [],
        "figures": {
            "accept": section | {"rate": 0.001, "stages": {"accept": {"p50Ms": 1e9, "p99Ms": 0.0}}},
            "drain": section | {"rate": 1e9},
        },
    }
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(report))
    return file


def test_it_compares_with_an_earlier_run(on_sqlite: Installation, earlier: Path) -> None:
    # When a run is compared with an earlier one
    result = on_sqlite("bench", "--messages", "40", "--json", "--compare", str(earlier), timeout=120)
    # Then each figure that both have says which of them is better
    assert result.code == 0, result
    report = result.json
    comparison = report["comparison"]
    assert (comparison["version"], comparison["date"]) == ("0.0.1", "2026-01-02T03:04:05.678Z")
    figures = {figure.pop("name"): figure for figure in comparison["figures"]}
    assert list(figures) == ["accept rate", "accept accept p50", "accept accept p99", "drain rate"]
    now = report["figures"]["accept"]["rate"]
    ratio = figures["accept rate"].pop("ratio")
    assert ratio == pytest.approx(now / 0.001)
    assert figures["accept rate"] == {"unit": "messages/s", "before": 0.001, "now": now, "better": "now"}
    assert figures["accept accept p50"]["better"] == "now"
    assert figures["accept accept p99"]["ratio"] is None
    assert figures["accept accept p99"]["better"] == "before"
    assert figures["drain rate"]["better"] == "before"
    # And what else is not the same is named, but for where the servers are
    assert f"cores: 999 before, {report['machine']['cores']} now" in comparison["differences"]
    assert not any("elsewhere" in difference for difference in comparison["differences"])
    # And the document can be compared with in its turn: what is wrong here is something else
    earlier.write_text(result.stdout)
    refused = on_sqlite("bench", "--compare", str(earlier), env={"CHATQ_MAX_QUEUE_DEPTH": "1"})
    assert "CHATQ_MAX_QUEUE_DEPTH is 1" in refused.stderr


def test_people_get_a_line_for_each_figure(on_sqlite: Installation, earlier: Path) -> None:
    # A limit for users does not keep it from measuring.
    limit = {"CHATQ_RATE_LIMIT": "1/h"}
    result = on_sqlite("bench", "--messages", "40", "--compare", str(earlier), timeout=120, env=limit)
    assert result.code == 0, result
    lines = result.stdout.splitlines()
    for name, stages in STAGES.items():
        unit = "deliveries/s" if name == "fanOut" else "messages/s"
        assert sum(line.startswith(f"{name} rate: ") and line.endswith(f" {unit}") for line in lines) == 1
        for stage in stages:
            for percentile in ("p50", "p99"):
                assert sum(line.startswith(f"{name} {stage} {percentile}: ") for line in lines) == 1
    assert any(line.startswith("compared accept rate: 0.00 before, ") and line.endswith(", better") for line in lines)
    assert any(line.startswith("compared drain rate: ") and line.endswith("ratio 0.00, worse") for line in lines)


def test_it_says_so_if_other_workers_take_part(on_sqlite: Installation) -> None:
    # Given a worker of the installation
    worker = on_sqlite.start_worker()
    # When it is measured
    result = on_sqlite("bench", "--messages", "40", "--json", timeout=120)
    # Then the report says that they are not the run's own figures alone
    assert result.code == 0, result
    assert result.json["installation"]["otherWorkers"] == 1
    assert result.json["notes"][0].startswith("Other workers of the installation took part: 1.")
    assert set(result.json["figures"]) >= set(STAGES) - {"drain"}
    # And that worker lives on, and only it is registered
    assert worker.process.poll() is None
    [registered] = on_sqlite.redis.smembers("rq:workers")
    assert f".{worker.pid}.".encode() in registered
    assert worker.terminate() == 0
    assert not any(conversations for conversations in rows(on_sqlite).values())


# --- what it refuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not well-formed JSON"),
        (b"\xff\xfe\x00", "is not well-formed JSON"),
        (b"[]", "expected `object`"),
        (b'{"version": "0.1.0"}', "date is missing"),
        (b'{"version": 1}', "version expected `str`"),
        (None, "No such file"),
    ],
)
def test_what_is_no_report_is_one_clear_line(chatq: Chatq, tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_bytes(content)
    result = chatq.run_forked("bench", "--compare", str(file))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"chatq: --compare {file}: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_does_not_measure_while_jobs_of_others_wait(on_sqlite: Installation) -> None:
    on_sqlite.send_all(["one", "two"])
    result = on_sqlite("bench", "--messages", "40")
    assert result.code == 1
    assert "chatq: 2 message jobs wait in this installation" in result.stderr
    assert on_sqlite.waiting() == 2
    on_sqlite.work_off()
    assert on_sqlite.contents() == ["one", "two"]


def test_it_does_not_measure_while_a_plain_rq_job_waits(on_sqlite: Installation) -> None:
    on_sqlite.queue("messages").enqueue("chatq.jobs.send_message", conversationId="general", messageData={})
    result = on_sqlite("bench", "--messages", "40")
    assert result.code == 1
    assert "chatq: 1 message job waits in this installation" in result.stderr


def test_it_does_not_measure_suspended_workers(on_sqlite: Installation) -> None:
    on_sqlite.redis.set("rq:suspended", 1)
    result = on_sqlite("bench", "--messages", "40")
    assert result.code == 1
    assert "suspended" in result.stderr


def test_a_size_that_the_queue_may_not_hold_is_bad_usage(on_sqlite: Installation) -> None:
    result = on_sqlite("bench", "--messages", "40", env={"CHATQ_MAX_QUEUE_DEPTH": "100"})
    assert result.code == 2
    assert "CHATQ_MAX_QUEUE_DEPTH is 100" in result.stderr


def test_redis_and_database_are_told_apart(chatq: Chatq, valkey: Valkey, tmp_path: Path) -> None:
    nowhere = chatq("bench", env={"REDIS_URL": f"unix://{tmp_path}/none.sock"})
    assert nowhere.returncode == 3
    empty = chatq("bench", env={"REDIS_URL": valkey.url})
    assert empty.returncode == 4
    assert "chatq db upgrade" in empty.stderr


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_nothing_is_left(on_sqlite: Installation, number: signal.Signals) -> None:
    # Given a run that has posted messages, more than are done before it is over
    run = start(on_sqlite, 100_000)
    # When it is asked to end
    run.send_signal(number)
    # Then it does, and has removed what it made
    assert run.wait(150) == 1
    assert run.stderr[-2:] == ["Interrupted: removing what the run has made.\n", "chatq: interrupted\n"]
    assert run.stdout == []
    is_clean(on_sqlite, NOTHING)


def test_a_signal_to_a_run_whose_worker_is_at_work_leaves_nothing(on_sqlite: Installation) -> None:
    # Given a run in the middle of its drain
    run = start(on_sqlite, 2000)
    until(lambda: any(rows(on_sqlite)["messages"]), what="messages in the database")
    # When it is asked to end
    run.send_signal(signal.SIGINT)
    # Then it removes what is in the database, and what still waits
    assert run.wait(150) == 1
    is_clean(on_sqlite, NOTHING)


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_process_that_dies_ends_it_and_nothing_is_left(on_sqlite: Installation, role: str) -> None:
    run = start(on_sqlite, 500)
    until(lambda: children(run.pid, f"chatq {role}"), what=role)
    kill_child(run.pid, f"chatq {role}")
    assert run.wait(150) == 1
    assert run.stderr[-1] == f"chatq: chatq {role} was killed by signal 9.\n"
    is_clean(on_sqlite, NOTHING)


def test_a_run_that_is_killed_leaves_no_process(on_sqlite: Installation) -> None:
    run = start(on_sqlite, 100_000)
    started = set(descendants(run.pid))
    assert started
    run.send_signal(signal.SIGKILL)
    run.process.wait()
    until(lambda: not started & {process.pid for process in processes()}, what="the end of all processes")


def test_what_cannot_be_removed_is_named(on_sqlite: Installation, valkey: Valkey) -> None:
    # Given a run whose Redis ends
    run = start(on_sqlite, 100_000)
    valkey.kill()
    # Then it fails as every command does without Redis, and says what is left
    assert run.wait(150) == 3
    said = "".join(run.stderr)
    assert "Not everything that the run made could be removed. Redis does not answer" in said
    assert "What is left belongs to the conversations bench:" in said
    assert "Traceback" not in said


def test_rows_are_removed_in_parts_and_only_those_that_are_named(installation: Installation) -> None:
    for conversation in ("mine", "mine-too", "theirs"):
        installation.send_all([str(number) for number in range(7)], conversation)
    installation.work_off()
    remove_rows(installation.engine, ["mine", "mine-too", "nobodys"], at_once=3)
    assert {table: set(names) for table, names in rows(installation).items()} == {
        "conversations": {"theirs"},
        "messages": {"theirs"},
        "events": {"theirs"},
        "members": {"theirs"},
        "failures": set(),
    }
    assert len(installation.frames("theirs")) == 7
