"""Conversations, messages, events, members, failures, lanes and the installation's id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", _id(128), nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("first_seq", _big(), nullable=False, server_default="1", comment="lowest event number that is kept"),
        sa.Column("last_seq", _big(), nullable=False, server_default="0", comment="number of the newest event"),
        sa.Column("last_message_id", _id(36)),
        sa.Column("last_message", sa.Text),
        sa.Column("last_message_at", _time()),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
    )
    op.create_table(
        "messages",
        sa.Column("id", _id(36), nullable=False),
        sa.Column("conversation_id", _id(128), nullable=False),
        sa.Column("seq", _big(), nullable=False, comment="number of its newMessage event"),
        sa.Column("sender_id", _id(128), nullable=False),
        sa.Column("client_message_id", _id(128)),
        sa.Column("content", sa.Text, comment="null once deleted"),
        sa.Column("metadata", sa.Text, comment="JSON"),
        sa.Column("status", sa.String(9), nullable=False, server_default="sent"),
        sa.Column("created_at", _time(), nullable=False, comment="when it was accepted; imports may set it"),
        sa.Column("persisted_at", _time(), nullable=False),
        sa.Column("edited_at", _time()),
        sa.Column("deleted_at", _time()),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("conversation_id", "seq", name="uq_messages_conversation_id_seq"),
        sa.CheckConstraint("status IN ('sent', 'delivered', 'read')", name=op.f("ck_messages_status")),
    )
    op.create_index(
        "uq_messages_conversation_id_sender_id_client_message_id",
        "messages",
        ["conversation_id", "sender_id", "client_message_id"],
        unique=True,
        postgresql_where=sa.text("client_message_id IS NOT NULL"),
        sqlite_where=sa.text("client_message_id IS NOT NULL"),
    )
    op.create_table(
        "events",
        sa.Column("conversation_id", _id(128), nullable=False),
        sa.Column("seq", _big(), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("message_id", _id(36), nullable=False),
        sa.Column("job_id", _id(128), nullable=False, comment="the RQ job that made it"),
        sa.Column("payload", sa.Text, nullable=False, comment="the websocket frame, JSON"),
        sa.Column("created_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "seq", name="pk_events"),
        sa.UniqueConstraint("job_id", name="uq_events_job_id"),
    )
    op.create_index(
        "ix_events_message_id",
        "events",
        ["message_id"],
        postgresql_where=sa.text("type = 'messageEdited'"),
        sqlite_where=sa.text("type = 'messageEdited'"),
    )
    op.create_table(
        "members",
        sa.Column("conversation_id", _id(128), nullable=False),
        sa.Column("user_id", _id(128), nullable=False),
        sa.Column("role", sa.String(6), nullable=False, server_default="member"),
        sa.Column("delivered_seq", _big(), nullable=False, server_default="0"),
        sa.Column("read_seq", _big(), nullable=False, server_default="0"),
        sa.Column("joined_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("conversation_id", "user_id", name="pk_members"),
        sa.CheckConstraint("role IN ('owner', 'member')", name=op.f("ck_members_role")),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"])
    op.create_table(
        "failures",
        sa.Column("job_id", _id(128), nullable=False),
        sa.Column("message_id", _id(36)),
        sa.Column("conversation_id", _id(128)),
        sa.Column("sender_id", _id(128)),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("resolved_at", _time(), comment="when the sender learnt of it, or a retry succeeded"),
        sa.PrimaryKeyConstraint("job_id", name="pk_failures"),
    )
    op.create_index("ix_failures_message_id", "failures", ["message_id"])
    op.create_index(
        "ix_failures_sender_id",
        "failures",
        ["sender_id"],
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", _big(), nullable=False, comment="how often the lane was taken over; fences stale workers"),
        sa.PrimaryKeyConstraint("lane", name="pk_lanes"),
    )
    op.create_table(
        "installation",
        sa.Column("id", _id(36), nullable=False, comment="names this database; recorded in Redis as well"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )


def _id(length: int) -> sa.String:
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def _big() -> sa.BigInteger:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _time() -> sa.String:
    return sa.String(24).with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
