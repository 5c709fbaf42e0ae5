"""The limit: the fastest bare loop for the rows and the Redis commands of a drain.

Neither RQ nor chatq is imported, nothing can be retried, recovered or configured, and only ``sendMessage``
is understood. It reads jobs as they lie in the lanes and leaves behind, in Redis and in the database, what
chatq's worker leaves behind. How much slower chatq is, is what its promises and its readability cost.

    python -m tests.benchmarks.limit REDIS_URL DATABASE_URL VARIANT BATCH LANES

works the lanes off, BATCH jobs at a time, and ends. A VARIANT is a way to insert rows.
"""

POSTGRES_VARIANTS = ("copy", "executemany")
SQLITE_VARIANTS = ("executemany",)
