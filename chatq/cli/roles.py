"""What every role does before it begins: log, connect, check, say with what it works."""

from __future__ import annotations

import structlog

from chatq import logs
from chatq.cli.compose import Services, build, check
from chatq.cli.garbage import keep_what_is_there
from chatq.settings import Settings, without_password


def prepare(settings: Settings, name: str) -> Services:
    """Return the services of the role ``name`` in this process.

    Raises:
        RedisError: Redis cannot be used.
        DatabaseError: the database cannot be used, is out of date, or is another installation's.
        BadSetting: Redis has another number of lanes.
    """
    logs.configure(settings)
    services = build(settings)
    check(services)
    structlog.get_logger(f"chatq.{name}").info(
        "connected",
        redis=without_password(services.redis_url),
        database=without_password(settings.database_url),
        durability=services.durability,
    )
    keep_what_is_there()
    return services
