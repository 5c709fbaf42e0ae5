"""chatq: a message queue for chat, ordered and exactly once in effect.

A message's life, and where to read about each step:

1. A client posts it (``web``) or a script enqueues it (``cli``). It is checked (``domain``), gets an id that
   is computed where the client named one (``domain.ids``), and is accepted into Redis by one script
   (``queue.edge``). Only then is the answer 202.
2. It waits in the lane of its conversation: an RQ queue that one worker at a time works off
   (``queue.lanes``).
3. A worker claims whatever is there, some hundreds of jobs at most (``worker.messages``, ``queue.claims``).
4. One transaction gives numbers, stores messages and events, and moves the conversation on
   (``store.batch``, whose rules are in ``store.effects``).
5. Only what was committed is published; in the same round trip the jobs are finished
   (``worker.batch``, ``queue.lanes``).
6. Every API process with a member of the conversation hands the event to their websockets, and replays
   it from the database to those who were away (``realtime``).

``access`` knows who may do what, and how much of it. ``supervise`` runs all roles on one machine, ``ops`` tells how
they fare, ``settings`` is the only reader of the environment, ``errors`` the tree of everything that may go wrong.
``client`` is for Python programs that talk to a server; ``web/static`` has the same for browsers, and the pages.

For users: :func:`handler` registers a function for jobs of a name of one's own.
"""

from chatq.queue.handlers import handler

__all__ = ["handler"]
