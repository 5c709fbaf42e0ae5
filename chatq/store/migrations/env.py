"""Runs migrations on the connection that ``chatq.store.schema`` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from chatq.store.schema import VERSION_TABLE
from chatq.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite changes a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
