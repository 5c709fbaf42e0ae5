"""What the web needs of the rest of chatq."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from redis import Redis
from sqlalchemy import Engine

from chatq.queue.edge import Edge
from chatq.settings import Settings

if TYPE_CHECKING:
    from chatq.access.tokens import Tokens


class Services(Protocol):
    """Settings and connections, made by the composition root for this process."""

    @property
    def settings(self) -> Settings:
        """The process's settings."""

    @property
    def redis(self) -> Redis:
        """A client for short questions."""

    @property
    def engine(self) -> Engine:
        """The database."""

    def edge(self) -> Edge:
        """Return an edge with a connection of its own.

        Raises:
            RedisError: Redis does not answer, or cannot give the durability.
        """

    def tokens(self) -> Tokens | None:
        """Return what checks tokens; None in development mode."""

    def bus_redis(self) -> Redis:
        """Return a client of its own for the bus, which brings along how long it waits for each message."""
