"""The Lua scripts: loaded from the ``.lua`` files beside this one, run by their hash.

Each documents its keys, arguments and answer at its top. ``--@include NAME`` stands for the text of
another file.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import redis
from redis.exceptions import NoScriptError

_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)

Argument = str | bytes | int | float


@functools.cache
def source(name: str) -> str:
    """Return the text of the script ``name`` with everything that it includes."""
    text = (resources.files("chatq.queue") / "lua" / f"{name}.lua").read_text()
    return _INCLUDE.sub(lambda match: source(match.group(1)), text)


@functools.cache
def sha(name: str) -> str:
    """Return the hash under which Redis keeps the script ``name``."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def evalsha(name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> tuple[Argument, ...]:
    """Return the command that runs the script ``name``, for a pipeline."""
    return ("EVALSHA", sha(name), len(keys), *keys, *arguments)


def run(client: redis.Redis, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    """Run the script ``name`` and return its answer."""
    try:
        return client.execute_command(*evalsha(name, keys, arguments))
    except NoScriptError:
        return client.eval(source(name), len(keys), *keys, *arguments)


def preload(client: redis.Redis, names: Sequence[str]) -> None:
    """Let every connection that ``client`` opens from now on tell the server the scripts ``names`` first of all.

    For pipelines whose order matters: a server that is told an unknown script by somebody else, in the middle of
    a pipeline, runs the rest of it before the part that has to be sent again.
    """

    def connected(connection: Any) -> None:
        connection.on_connect()
        for name in names:
            connection.send_command("SCRIPT", "LOAD", source(name))
            connection.read_response()

    client.connection_pool.connection_kwargs["redis_connect_func"] = connected


def run_pipeline(client: redis.Redis, names: Sequence[str], fill: Callable[[redis.client.Pipeline], None]) -> list[Any]:
    """Send the commands that ``fill`` puts into a pipeline and return their answers, in one round trip.

    ``names`` are the scripts among them. If the server does not know one (it was restarted), all are loaded
    and everything is sent again: each command must be safe to repeat.

    Raises:
        redis.RedisError: the first error among the answers.
    """
    for attempt in (1, 2):
        with client.pipeline(transaction=False) as pipe:
            fill(pipe)
            answers = pipe.execute(raise_on_error=False)
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if not errors:
            return answers
        if attempt == 1 and any(isinstance(error, NoScriptError) for error in errors):
            for name in names:
                client.script_load(source(name))
            continue
        raise errors[0]
    raise AssertionError("the second attempt returns or raises")
