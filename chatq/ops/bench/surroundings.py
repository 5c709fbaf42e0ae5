"""Where a run takes place: the machine, the servers, and the settings that matter to its speed."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import redis
from sqlalchemy import Engine

from chatq.ops.bench.report import Machine
from chatq.queue.connection import translated
from chatq.store.engine import reading


def machine() -> Machine:
    """Return what is known of this machine."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Machine(
        system=platform.platform(),
        cpu=_cpu(),
        cores=usable or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        python=platform.python_version(),
    )


def redis_server(client: redis.Redis) -> str:
    """Return what the Redis is, and how it writes to its disk.

    Raises:
        RedisError: it does not answer.
    """
    with translated():
        info = client.info("server")
        try:
            config = client.config_get("append*")
        except redis.ResponseError:
            # Managed servers hide their configuration.
            config = {}
    own = info.get("valkey_version")
    server = f"Valkey {own}" if own else f"Redis {info.get('redis_version', 'unknown')}"
    if not config:
        return server
    if config.get("appendonly") != "yes":
        return f"{server}, no append-only file"
    return f"{server}, appendfsync {config.get('appendfsync')}"


def database_server(engine: Engine) -> str:
    """Return what the database is, and how it writes to its disk.

    Raises:
        DatabaseError: it does not answer.
    """
    with reading(engine) as connection:

        def ask(query: str) -> str:
            return str(connection.exec_driver_sql(query).scalar_one())

        if engine.dialect.name == "postgresql":
            found = {name: ask(f"SHOW {name}") for name in ("server_version", "fsync", "synchronous_commit")}
            first, *others = found.items()
            return f"PostgreSQL {first[1]}, " + ", ".join(f"{name} {value}" for name, value in others)
        levels = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}
        level = ask("PRAGMA synchronous")
        return f"SQLite {ask('SELECT sqlite_version()')}, synchronous {levels.get(level, level)}"


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()
