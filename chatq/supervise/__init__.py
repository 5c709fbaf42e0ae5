"""Running several processes as one: what starts when, what happens when one dies, and how all of it ends.

``role`` is a process as planned, ``supervisor`` the only part that decides, ``loop`` its eyes and hands
(``children``, ``output``, ``signals``), ``guard`` what cleans up if it is killed. ``heartbeat`` is how a process
shows that it lives, ``watchdog`` what tells that one hangs. Nothing here knows what the processes do, but for
``valkey`` (the embedded server) and ``readiness`` (of the API).
"""
