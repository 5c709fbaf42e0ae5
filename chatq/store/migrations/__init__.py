"""Alembic's side of the schema: how a migration runs, and one file in ``versions`` for each revision.

A migration says everything itself and imports nothing of chatq: it must still do tomorrow what it does today.
"""
