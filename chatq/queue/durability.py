"""Durability grades: what a message has survived before its 202 is sent."""

from __future__ import annotations

import redis

from chatq.errors import DurabilityUnknown, RedisUnfit
from chatq.queue.connection import translated
from chatq.settings import Durability

CONFIRM_MS = 2000
"""How long the asked-for durability may take to be confirmed."""

Confirmation = tuple[str | int, ...]
"""The command that waits for it, last in a pipeline; empty if none is needed. Inside MULTI or a script it
would not wait, and it covers only what its own connection wrote."""


def find_confirmation(client: redis.Redis, durability: Durability) -> Confirmation:
    """Return the command by which this server confirms the durability.

    Raises:
        RedisUnfit: the server cannot give it.
        RedisUnavailable: the server does not answer.
    """
    if durability == "memory":
        return ()
    if durability == "replica":
        return ("WAIT", 1, CONFIRM_MS)
    with translated():
        try:
            config = client.config_get("append*")
        except redis.ResponseError:
            # Managed servers hide their configuration.
            config = {}
        if config.get("appendonly") == "yes" and config.get("appendfsync") == "always":
            return ()
        try:
            client.execute_command("WAITAOF", 1, 0, 1)
        except redis.ResponseError as error:
            raise RedisUnfit(
                "CHATQ_DURABILITY=aof needs a server with `appendfsync always`, or one with WAITAOF "
                f"(Redis 7.2, Valkey) and `appendonly yes`; this one says: {error}"
            ) from None
    return ("WAITAOF", 1, 0, CONFIRM_MS)


def check_confirmed(command: Confirmation, answer: object) -> None:
    """Check the answer to a :data:`Confirmation`.

    Raises:
        DurabilityUnknown: the server did not confirm it in time.
    """
    confirmed = answer[0] if isinstance(answer, list) else answer
    if not isinstance(confirmed, int) or confirmed < 1:
        raise DurabilityUnknown(
            f"Redis did not confirm the message within {CONFIRM_MS} ms ({command[0]}); it may still be done. "
            "Repeat it with the same client id."
        )
