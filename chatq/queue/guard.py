"""What Redis knows of this installation, so that no process works on another's queues."""

from __future__ import annotations

import redis

from chatq.errors import BadSetting, OtherInstallation
from chatq.queue import keys
from chatq.queue.connection import as_text, translated


def check_installation(client: redis.Redis, installation_id: str, database: str) -> None:
    """Record the database's installation id in Redis, or compare it with the one recorded there.

    ``database`` names the database for the message.

    Raises:
        OtherInstallation: Redis belongs to another database.
        RedisError: Redis cannot be used.
    """
    with translated():
        recorded = _record(client, keys.INSTALLATION, installation_id)
    if recorded != installation_id:
        raise OtherInstallation(
            f"This Redis holds the queues of installation {recorded}, but the database {database} is "
            f"installation {installation_id}. Point DATABASE_URL or REDIS_URL to the right one; to give this "
            f"Redis to the database for good, delete the key {keys.INSTALLATION!r} in it."
        )


def check_lanes(client: redis.Redis, lanes: int) -> None:
    """Record the number of lanes in Redis, or compare it with the one recorded there.

    Raises:
        BadSetting: Redis has another number, or none; jobs of one conversation would lie in two lanes.
        RedisError: Redis cannot be used.
    """
    with translated():
        recorded = _record(client, keys.LANES, str(lanes))
    if not recorded.isdecimal():
        raise BadSetting(
            f"The key {keys.LANES!r} in Redis holds {recorded!r}, which is no number of lanes: somebody else wrote it. "
            "Set it to the number with which this installation has run, or delete it if that was CHATQ_LANES."
        )
    if int(recorded) != lanes:
        raise BadSetting(
            f"CHATQ_LANES is {lanes}, but this installation runs with {recorded} lanes. Set CHATQ_LANES={recorded}; "
            f"to change it, stop everything, let `chatq worker --burst` empty the queues, and delete the key "
            f"{keys.LANES!r} in Redis."
        )


def _record(client: redis.Redis, key: str, value: str) -> str:
    """Return what the key holds: ``value``, if it held nothing."""
    # A Redis whose memory is full can be asked, and its workers are to start, for they make room.
    if not client.get(key):
        client.set(key, value, nx=True)
    # Emptied in between, it holds nobody's queues, and the next check records whose they are.
    return as_text(client.get(key)) or value
