"""The queue: RQ's keys and jobs in Redis, the lanes, and the scripts that move jobs through them.

Job functions are named as text, so nothing here imports the worker, the database or the web.
"""
