"""The fence: ``lanes.epoch`` counts how often a lane was taken over, and keeps former holders out."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, select, text

from chatq.errors import LaneLost
from chatq.store.engine import writing
from chatq.store.tables import lanes

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


def check_epoch(connection: Connection, lane: int, epoch: int) -> None:
    """Hold the lane's epoch until the transaction ends.

    Raises:
        LaneLost: it is not ``epoch`` any more.
    """
    current = connection.execute(
        select(lanes.c.epoch).where(lanes.c.lane == lane).with_for_update(read=True)
    ).scalar_one_or_none()
    if current != epoch:
        raise LaneLost(f"Lane {lane} was taken over: its epoch is {current}, not {epoch}.")
