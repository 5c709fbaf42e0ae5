"""The tables, as contract for everyone who reads them with SQL of their own.

Ids are text, times are RFC 3339 text inside chatq and ``timestamptz`` on Postgres, metadata and payloads
are JSON text. There are no foreign keys: one transaction writes a message with its conversation, so a
check of each row would only cost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from chatq.domain.clock import render
from chatq.domain.ids import MAX_JOB_ID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Timestamp(TypeDecorator[str]):
    """An RFC 3339 time in UTC with milliseconds: text in Python and SQLite, ``timestamptz`` on Postgres."""

    impl = String(24)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that holds the time on this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True, precision=3))
        return dialect.type_descriptor(String(24))

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Return the stored time as text."""
        return as_text(value)


def as_text(value: Any) -> str | None:
    """Return a time as the driver gives it as text."""
    return render(value) if isinstance(value, datetime) else value


def _id(length: int) -> String:
    # Compared and sorted byte by byte: ids are ASCII, and Postgres's own collations are slower for nothing.
    return String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def _big() -> BigInteger:
    return BigInteger().with_variant(Integer, "sqlite")


conversations = Table(
    "conversations",
    metadata,
    Column("id", _id(128), primary_key=True),
    Column("title", Text),
    Column("first_seq", _big(), nullable=False, server_default="1", comment="lowest event number that is kept"),
    Column("last_seq", _big(), nullable=False, server_default="0", comment="number of the newest event"),
    Column("last_message_id", _id(36)),
    Column("last_message", Text),
    Column("last_message_at", Timestamp),
    Column("created_at", Timestamp, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", _id(36), primary_key=True),
    Column("conversation_id", _id(128), nullable=False),
    Column("seq", _big(), nullable=False, comment="number of its newMessage event"),
    Column("sender_id", _id(128), nullable=False),
    Column("client_message_id", _id(128)),
    Column("content", Text, comment="null once deleted"),
    Column("metadata", Text, comment="JSON"),
    Column("status", String(9), nullable=False, server_default="sent"),
    Column("created_at", Timestamp, nullable=False, comment="when it was accepted; imports may set it"),
    Column("persisted_at", Timestamp, nullable=False),
    Column("edited_at", Timestamp),
    Column("deleted_at", Timestamp),
    UniqueConstraint("conversation_id", "seq"),
    # Most writers of bulk have no client ids: an entry for each of their messages would only cost.
    Index(
        "uq_messages_conversation_id_sender_id_client_message_id",
        "conversation_id",
        "sender_id",
        "client_message_id",
        unique=True,
        postgresql_where=text("client_message_id IS NOT NULL"),
        sqlite_where=text("client_message_id IS NOT NULL"),
    ),
    CheckConstraint("status IN ('sent', 'delivered', 'read')", name="status"),
)

events = Table(
    "events",
    metadata,
    Column("conversation_id", _id(128), primary_key=True),
    Column("seq", _big(), primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("message_id", _id(36), nullable=False),
    Column("job_id", _id(MAX_JOB_ID), nullable=False, unique=True, comment="the RQ job that made it"),
    Column("payload", Text, nullable=False, comment="the websocket frame, JSON"),
    Column("created_at", Timestamp, nullable=False),
    # The events that tell a message's content are found by its own number, and, if it was edited, by this.
    Index(
        "ix_events_message_id",
        "message_id",
        postgresql_where=text("type = 'messageEdited'"),
        sqlite_where=text("type = 'messageEdited'"),
    ),
)

members = Table(
    "members",
    metadata,
    Column("conversation_id", _id(128), primary_key=True),
    Column("user_id", _id(128), primary_key=True),
    Column("role", String(6), nullable=False, server_default="member"),
    Column("delivered_seq", _big(), nullable=False, server_default="0"),
    Column("read_seq", _big(), nullable=False, server_default="0"),
    Column("joined_at", Timestamp, nullable=False),
    CheckConstraint("role IN ('owner', 'member')", name="role"),
    Index(None, "user_id"),
)

failures = Table(
    "failures",
    metadata,
    Column("job_id", _id(MAX_JOB_ID), primary_key=True),
    Column("message_id", _id(36)),
    Column("conversation_id", _id(128)),
    Column("sender_id", _id(128)),
    Column("reason", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("resolved_at", Timestamp, comment="when the sender learnt of it, or a retry succeeded"),
    Index(None, "message_id"),
    Index(
        "ix_failures_sender_id",
        "sender_id",
        postgresql_where=text("resolved_at IS NULL"),
        sqlite_where=text("resolved_at IS NULL"),
    ),
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("epoch", _big(), nullable=False, comment="how often the lane was taken over; fences stale workers"),
)

installation = Table(
    "installation",
    metadata,
    Column("id", _id(36), primary_key=True, comment="names this database; recorded in Redis as well"),
)
