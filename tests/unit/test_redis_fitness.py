"""The judgement on a Redis, on facts that no server at hand has."""

from __future__ import annotations

from typing import Any

import pytest

from chatq.ops.finding import Finding, Level
from chatq.ops.redis_facts import Facts
from chatq.ops.redis_fitness import judge
from chatq.settings import Durability

MIB = 1 << 20

FIT: dict[str, Any] = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "connected_slaves": 0,
    "used_memory": 10 * MIB,
    "maxmemory": 100 * MIB,
}


def judged(
    *,
    info: dict[str, Any] | None = None,
    config: dict[str, str] | None = None,
    refusal: str | None = None,
    pings: tuple[float, ...] = (0.001,) * 3,
    durability: Durability = "memory",
    without: str = "",
) -> dict[str, Finding]:
    known = {name: value for name, value in {**FIT, **(info or {})}.items() if name != without}
    settings = {"appendfsync": "always", "save": ""} if config is None else config
    findings = judge(Facts(known, settings, refusal, pings), durability)
    for finding in findings:
        assert (finding.level is Level.OK) == (finding.cause is None) == (finding.remedy is None)
    return {finding.check: finding for finding in findings}


def test_all_is_well_with_a_fit_server() -> None:
    assert {finding.level for finding in judged().values()} == {Level.OK}


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("2.8.24", Level.PROBLEM),
        ("6.0.20", Level.PROBLEM),
        ("6.2.0", Level.OK),
        ("10.0.1", Level.OK),
        ("unstable", Level.WARNING),
    ],
)
def test_version(version: str, level: Level) -> None:
    assert judged(info={"redis_version": version})["version"].level is level


def test_version_names_a_valkey_as_such() -> None:
    assert judged(info={"valkey_version": "9.1.2"})["version"].value == "Valkey 9.1.2 (Redis 7.2.4)"


def test_a_replica_names_its_primary() -> None:
    role = judged(info={"role": "slave", "master_host": "10.0.0.7", "master_port": 6380})["role"]
    assert role.level is Level.PROBLEM
    assert role.remedy is not None
    assert "10.0.0.7:6380" in role.remedy


def test_a_sentinel_is_no_primary() -> None:
    assert judged(info={"role": "sentinel"})["role"].level is Level.PROBLEM


def test_an_eviction_policy_that_is_not_told_is_a_warning() -> None:
    assert judged(without="maxmemory_policy")["eviction"].level is Level.WARNING


@pytest.mark.parametrize(
    ("info", "config", "level", "value"),
    [
        ({}, {"appendfsync": "everysec"}, Level.WARNING, "appendfsync everysec"),
        ({}, {"appendfsync": "no"}, Level.WARNING, "appendfsync no"),
        ({}, {}, Level.WARNING, "appendfsync unknown"),
        ({"aof_enabled": 0}, {"save": "3600 1"}, Level.WARNING, "snapshots only (save 3600 1)"),
        ({"aof_enabled": 0}, {"save": ""}, Level.WARNING, "none"),
        ({"aof_enabled": 0}, {}, Level.WARNING, "snapshots unknown"),
        ({"aof_last_write_status": "err"}, None, Level.PROBLEM, "append-only file failed"),
        ({"rdb_last_bgsave_status": "err"}, None, Level.PROBLEM, "snapshot failed"),
    ],
)
def test_persistence(info: dict[str, Any], config: dict[str, str] | None, level: Level, value: str) -> None:
    persistence = judged(info=info, config=config)["persistence"]
    assert persistence.level is level
    assert value in persistence.value


@pytest.mark.parametrize(
    ("durability", "info", "config", "level"),
    [
        ("aof", {}, None, Level.OK),
        ("aof", {"aof_enabled": 0}, None, Level.PROBLEM),
        ("aof", {"redis_version": "7.2.0"}, {"appendfsync": "everysec"}, Level.OK),
        ("aof", {"redis_version": "7.0.9"}, {"appendfsync": "everysec"}, Level.PROBLEM),
        ("aof", {"redis_version": "7.0.9"}, {"appendfsync": "always"}, Level.OK),
        ("replica", {}, None, Level.PROBLEM),
        ("replica", {"connected_slaves": 1}, None, Level.OK),
    ],
)
def test_durability(durability: Durability, info: dict[str, Any], config: dict[str, str] | None, level: Level) -> None:
    assert judged(durability=durability, info=info, config=config)["durability"].level is level


@pytest.mark.parametrize(
    ("used", "maxmemory", "machine", "level", "value"),
    [
        (79, 100, 0, Level.OK, "79%"),
        (80, 100, 0, Level.WARNING, "80%"),
        (95, 100, 0, Level.PROBLEM, "95%"),
        (95, 0, 100, Level.PROBLEM, "the machine's memory"),
        (95, 0, 0, Level.OK, "no limit known"),
    ],
)
def test_memory(used: int, maxmemory: int, machine: int, level: Level, value: str) -> None:
    info = {"used_memory": used * MIB, "maxmemory": maxmemory * MIB, "total_system_memory": machine * MIB}
    memory = judged(info=info)["memory"]
    assert memory.level is level
    assert value in memory.value


@pytest.mark.parametrize(
    ("pings", "level"),
    [
        ((0.001, 0.005, 0.099), Level.OK),
        ((0.001, 0.006, 0.007), Level.WARNING),
        ((0.001, 0.001, 0.101), Level.WARNING),
    ],
)
def test_latency(pings: tuple[float, ...], level: Level) -> None:
    assert judged(pings=pings)["latency"].level is level


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "memory"),
        ("MISCONF Redis is configured to save RDB snapshots, but …", "disk"),
        ("NOPERM User app has no permissions to run the 'eval' command", "EVAL"),
        ("unknown command 'EVAL'", "EVAL"),
        ("READONLY You can't write against a read only replica.", "primary"),
    ],
)
def test_a_refused_write_has_a_remedy_of_its_own(refusal: str, remedy: str) -> None:
    writes = judged(refusal=refusal)["writes"]
    assert writes.level is Level.PROBLEM
    assert writes.value == refusal
    assert writes.remedy is not None
    assert remedy in writes.remedy
