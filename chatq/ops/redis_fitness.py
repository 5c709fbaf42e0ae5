"""The judgement on a Redis: from what it says about itself to findings. Pure: nothing here connects."""

from __future__ import annotations

import re
from statistics import median

from chatq.ops.finding import Finding, Level
from chatq.ops.redis_facts import Facts
from chatq.settings import Durability

OLDEST = (6, 2)
"""The oldest version of Redis's interface that has every command chatq sends."""
WAITAOF = (7, 2)
"""The version of Redis's interface that brought the command WAITAOF."""
FULL, NEARLY_FULL = 0.95, 0.80
"""Shares of the memory limit from which on its use is a problem, and a warning."""
SLOW_MEDIAN, SLOW_WORST = 0.005, 0.100
"""Seconds of a round trip from which on it is a warning: a message waits for several of them."""


def judge(facts: Facts, durability: Durability) -> list[Finding]:
    """Return a finding for each thing that matters to chatq.

    Args:
        facts: what was learnt of the server.
        durability: what a 202 is to have survived there.
    """
    return [
        _version(facts),
        _role(facts),
        _writes(facts),
        _eviction(facts),
        _persistence(facts),
        _durability(facts, durability),
        _memory(facts),
        _latency(facts),
    ]


def _ok(check: str, value: str) -> Finding:
    return Finding(check=check, level=Level.OK, value=value)


def _warning(check: str, value: str, cause: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.WARNING, value=value, cause=cause, remedy=remedy)


def _problem(check: str, value: str, cause: str, remedy: str) -> Finding:
    return Finding(check=check, level=Level.PROBLEM, value=value, cause=cause, remedy=remedy)


def _version(facts: Facts) -> Finding:
    version = str(facts.info.get("redis_version", ""))
    numbers = _numbers(facts)
    own = facts.info.get("valkey_version")
    value = f"Valkey {own} (Redis {version})" if own else f"Redis {version or 'unknown'}"
    if numbers is None:
        return _warning(
            "version",
            value,
            "the server does not say which version it is",
            "make sure that it has every command of Redis 6.2",
        )
    if numbers < OLDEST:
        return _problem(
            "version",
            value,
            "commands that chatq's scripts need came with Redis 6.2",
            "install Redis 6.2 or later, or Valkey; `chatq all` without REDIS_* settings brings a Valkey of its own",
        )
    return _ok("version", value)


def _numbers(facts: Facts) -> tuple[int, int] | None:
    """Return major and minor number of the Redis version whose interface the server has."""
    found = re.match(r"(\d+)\.(\d+)", str(facts.info.get("redis_version", "")))
    return (int(found[1]), int(found[2])) if found else None


def _role(facts: Facts) -> Finding:
    role = str(facts.info.get("role", "unknown"))
    if role in {"slave", "replica"}:
        primary = f"{facts.info.get('master_host', 'unknown')}:{facts.info.get('master_port', 'unknown')}"
        return _problem(
            "role",
            f"replica of {primary}",
            "a replica refuses what is written to it, or loses it at its next synchronization",
            f"point REDIS_URL at the primary, {primary}",
        )
    if role != "master":
        return _problem("role", role, "only a primary takes writes", "point REDIS_URL at a primary, not at a sentinel")
    return _ok("role", "primary")


def _writes(facts: Facts) -> Finding:
    if facts.refusal is None:
        return _ok("writes", "accepted")
    words = facts.refusal
    if "OOM" in words or "maxmemory" in words:
        remedy = "give the server more memory (`maxmemory`), or remove what else lies there"
    elif "MISCONF" in words:
        remedy = "mend what keeps the server from saving (its log tells; often a full disk)"
    elif "READONLY" in words.upper() or "read only" in words:
        remedy = "point REDIS_URL at the primary"
    else:
        remedy = "allow scripts (`EVAL`, `EVALSHA`, `SCRIPT LOAD`) and writes to the keys rq:* and chatq:*"
    return _problem("writes", words, "the server refuses a script that writes, as all of chatq's do", remedy)


def _eviction(facts: Facts) -> Finding:
    policy = facts.info.get("maxmemory_policy")
    if policy is None:
        return _warning(
            "eviction",
            "unknown",
            "the server does not say what it does when its memory is full",
            "make sure that `maxmemory-policy` is noeviction",
        )
    if policy != "noeviction":
        return _problem(
            "eviction",
            str(policy),
            "when its memory is full, the server throws keys away, and with them accepted messages",
            "set `maxmemory-policy noeviction`; share no server with a cache that needs another policy",
        )
    return _ok("eviction", "noeviction")


def _persistence(facts: Facts) -> Finding:
    info = facts.info
    for name, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if info.get(name, "ok") != "ok":
            return _problem(
                "persistence",
                f"the last write of the {what} failed",
                "what the server cannot save, it loses at its next restart; it refuses writes meanwhile",
                "mend what its log says (often a full disk)",
            )
    if info.get("aof_enabled"):
        return _append_only_file(facts.config.get("appendfsync", "unknown"))
    snapshots = facts.config.get("save")
    if snapshots:
        return _warning(
            "persistence",
            f"snapshots only (save {snapshots})",
            "a crash of the server loses the messages accepted since the last snapshot that no worker had stored yet",
            "set `appendonly yes` and `appendfsync always`",
        )
    return _warning(
        "persistence",
        "none" if snapshots == "" else "no append-only file, snapshots unknown",
        "a restart of the server loses every accepted message that no worker had stored yet",
        "set `appendonly yes` and `appendfsync always`",
    )


def _append_only_file(fsync: str) -> Finding:
    value = f"append-only file, appendfsync {fsync}"
    if fsync == "always":
        return _ok("persistence", value)
    lost = {
        "everysec": "a power cut may lose the last second: messages that had got a 202 and no worker had stored yet",
        "no": "a power cut may lose what the system had not written yet: messages that had got a 202, many seconds old",
    }
    return _warning(
        "persistence",
        value,
        lost.get(fsync, "the server does not tell how often it writes to disk, so what a 202 survives is not known"),
        "set `appendfsync always`, or CHATQ_DURABILITY=aof where the server has WAITAOF (Redis 7.2, Valkey)",
    )


def _durability(facts: Facts, asked: Durability) -> Finding:
    info = facts.info
    if asked == "replica" and not info.get("connected_slaves"):
        return _problem(
            "durability",
            "replica is asked for, but no replica is connected",
            "no 202 would ever be sent: each waits for a replica to have the message",
            "connect a replica, or choose another CHATQ_DURABILITY",
        )
    if asked == "aof" and not info.get("aof_enabled"):
        return _problem(
            "durability",
            "aof is asked for, but there is no append-only file",
            "no 202 could be sent: each waits for the message to be on disk",
            "set `appendonly yes` and `appendfsync always`, or choose another CHATQ_DURABILITY",
        )
    if asked == "aof" and facts.config.get("appendfsync") != "always" and (_numbers(facts) or OLDEST) < WAITAOF:
        return _problem(
            "durability",
            "aof is asked for, but the server can neither confirm it nor write to disk at once",
            "no 202 could be sent: each waits for the message to be on disk",
            "set `appendfsync always`, or install Redis 7.2 or later, or Valkey (WAITAOF); or choose another "
            "CHATQ_DURABILITY",
        )
    return _ok("durability", f"{asked} (CHATQ_DURABILITY)")


def _memory(facts: Facts) -> Finding:
    used = int(facts.info.get("used_memory", 0))
    limit, whose = int(facts.info.get("maxmemory", 0)), "maxmemory"
    if not limit:
        limit, whose = int(facts.info.get("total_system_memory", 0)), "the machine's memory"
    if not limit:
        return _ok("memory", f"{_size(used)} used, no limit known")
    share = used / limit
    value = f"{_size(used)} of {_size(limit)} ({whose}) used: {share:.0%}"
    remedy = "raise `maxmemory`, or give the machine more; start more workers if messages pile up"
    if share >= FULL:
        return _problem("memory", value, "the memory is full: the server refuses, or soon will, all writes", remedy)
    if share >= NEARLY_FULL:
        return _warning("memory", value, "when the memory is full, the server refuses all writes", remedy)
    return _ok("memory", value)


def _latency(facts: Facts) -> Finding:
    middle, worst = median(facts.pings), max(facts.pings)
    value = f"median {middle * 1000:.2f} ms, worst {worst * 1000:.2f} ms of {len(facts.pings)} round trips"
    if middle <= SLOW_MEDIAN and worst <= SLOW_WORST:
        return _ok("latency", value)
    return _warning(
        "latency",
        value,
        "every request waits for a round trip, and every message for several; "
        f"above {SLOW_MEDIAN * 1000:.0f} ms in the middle or {SLOW_WORST * 1000:.0f} ms at worst one notices",
        "run chatq near its Redis, and look for slow commands there (`SLOWLOG GET`), swapping, or a busy neighbour",
    )


def _size(octets: int) -> str:
    size, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
