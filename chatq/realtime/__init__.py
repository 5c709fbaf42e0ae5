"""Real time: the bus from Redis, the hub of rooms, and one socket's life.

Runs on gevent: a greenlet for each socket that reads, one that writes only while there is something that
the kernel does not take at once, one for the bus. Nothing here knows HTTP.
"""
