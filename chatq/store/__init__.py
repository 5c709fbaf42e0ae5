"""The database: tables, the one transaction that applies a batch of jobs, and the reads.

SQLAlchemy Core on SQLite and Postgres. Nothing here knows Redis, HTTP or sockets; what comes in are the
jobs and what goes out are the events of ``domain``.
"""
