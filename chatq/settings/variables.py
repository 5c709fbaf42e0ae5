"""Every variable with its default and meaning: ``--help`` and the README are written from this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting as ``--help`` and the README show it."""

    name: str
    default: str
    """The value used when nothing is set, or in words how it comes about."""
    meaning: str
    flag: str | None = None
    """The command flag that overrides it, if there is one."""


VARIABLES = (
    Variable("REDIS_URL", "none", "redis://, rediss:// or unix:// URL; wins over the three below"),
    Variable("REDIS_HOST", "localhost", "host of Redis"),
    Variable("REDIS_PORT", "6379", "port of Redis"),
    Variable("REDIS_PASSWORD", "none", "password of Redis"),
    Variable(
        "DATABASE_URL",
        "chatq.sqlite3 in the data directory",
        "any sqlite:///, postgresql:// or postgres:// URL",
    ),
    Variable("CHATQ_DATA_DIR", ".chatq", "directory of the embedded Valkey's data and the SQLite file", "--data-dir"),
    Variable("CHATQ_HOST", "127.0.0.1", "address that the API listens on", "--host"),
    Variable("CHATQ_PORT", "8000", "port that the API listens on", "--port"),
    Variable("CHATQ_API_WORKERS", "1", "API processes", "--api-workers"),
    Variable("CHATQ_LANES", "8", "lanes of the message queue, the same in every process"),
    Variable("CHATQ_JWT_SECRET", "none", "secret of tokens that are signed with HS256, 32 bytes or more"),
    Variable("CHATQ_JWT_JWKS_URL", "none", "where the public keys are of tokens that are signed with RS256 or ES256"),
    Variable("CHATQ_JWT_AUDIENCE", "none", "audience that a token must name"),
    Variable("CHATQ_ALLOWED_ORIGINS", "same origin", "exact allow-list for browsers, with commas"),
    Variable(
        "CHATQ_DURABILITY",
        "aof with the embedded server, else memory",
        "what a 202 has survived before it is sent: memory, aof or replica",
    ),
    Variable("CHATQ_MAX_CONTENT_BYTES", "16384", "limit of a message's content"),
    Variable("CHATQ_MAX_QUEUE_DEPTH", "1000000", "limit of the messages that wait"),
    Variable("CHATQ_RATE_LIMIT", "none", "limit of the messages that a user may send: 20/s, 600/m or 5000/h"),
    Variable("CHATQ_LOG_FORMAT", "console on a terminal, else json", "console or json"),
    Variable("CHATQ_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
)
"""Every variable, in the order of the documentation."""

BY_NAME = {variable.name: variable for variable in VARIABLES}
