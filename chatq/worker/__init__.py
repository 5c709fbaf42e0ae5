"""The worker: takes lanes, applies batches, publishes what was committed; and runs users' handlers.

Message jobs are done many at a time by :mod:`chatq.worker.messages`; handlers one at a time, in processes
of their own, by :mod:`chatq.worker.handlers`. Nothing here listens to clients.
"""
