"""What machine the figures are of."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psycopg
import redis

from tests.benchmarks.stage import Stage


def describe_machine(stage: Stage) -> dict[str, str]:
    """Return processor, memory, and the versions of everything that is measured."""
    with psycopg.connect(stage.postgres.superuser_url("postgres")) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    with stage.valkey() as url, redis.Redis.from_url(url) as client:
        valkey = client.info("server")["valkey_version"]
    done = subprocess.run([stage.programs.node, "--version"], capture_output=True, text=True, check=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "Node": done.stdout.strip().removeprefix("v"),
        "Postgres": str(row[0]) if row else "",
        "Valkey": str(valkey),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
