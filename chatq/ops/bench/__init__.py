"""The benchmark of an installation: what ``chatq bench`` measures, and how it leaves no trace.

``run`` is the whole run, ``stages`` what is measured, ``load`` and the two clients (``http``, ``listener``) how;
``report`` is the result, ``comparison`` sets one beside an earlier one; ``leftovers`` removes what the run made in
Redis, ``rows`` what it made in the database.
"""
