"""The fence: ``lanes.epoch`` counts how often a lane was taken over, and keeps former holders out.

``loading.pass_fence`` is where a transaction finds out whose the lane is.
"""

from __future__ import annotations

from sqlalchemy import Engine, text

from chatq.store.engine import writing

_TAKE_OVER = text(
    "INSERT INTO lanes (lane, epoch) VALUES (:lane, 1) "
    "ON CONFLICT (lane) DO UPDATE SET epoch = lanes.epoch + 1 RETURNING epoch"
)


def take_over(engine: Engine, lane: int) -> int:
    """Begin a new epoch of the lane and return it.

    Waits for a transaction of the former holder that is under way; one that begins later is refused.

    Raises:
        DatabaseUnavailable: the database does not answer, or that transaction does not end.
    """
    with writing(engine) as connection:
        return int(connection.execute(_TAKE_OVER, {"lane": lane}).scalar_one())
