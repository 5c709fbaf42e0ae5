"""The Lua scripts: loaded from the ``.lua`` files beside this one, run by their hash.

Each documents its keys, arguments and answer at its top. ``--@include NAME`` stands for the text of
another file.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import redis
from redis.exceptions import NoScriptError

_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)

Argument = str | bytes | int | float
Command = tuple[Argument, ...]


@functools.cache
def source(name: str) -> str:
    """Return the text of the script ``name`` with everything that it includes."""
    text = (resources.files("chatq.queue") / "lua" / f"{name}.lua").read_text()
    return _INCLUDE.sub(lambda match: source(match.group(1)), text)


@functools.cache
def sha(name: str) -> str:
    """Return the hash under which Redis keeps the script ``name``."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()


def evalsha(name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Command:
    """Return the command that runs the script ``name``, for a pipeline."""
    return ("EVALSHA", sha(name), len(keys), *keys, *arguments)


def with_source(command: Command, names: Sequence[str]) -> Command:
    """Return what :func:`evalsha` returns, for one of the scripts ``names``, so that it brings its script along.

    For what must not be done before that which stands in front of it in the same pipeline: of two scripts that a
    server does not know, it does the second one alone if somebody else tells it that one between them.
    """
    sources = {sha(name): source(name) for name in names}
    script = sources.get(str(command[1])) if command[0] == "EVALSHA" else None
    return command if script is None else ("EVAL", script, *command[2:])


def run(client: redis.Redis, name: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    """Run the script ``name`` and return its answer.

    Raises:
        redis.RedisError: Redis cannot be asked, or says that something is wrong.
    """
    try:
        return client.execute_command(*evalsha(name, keys, arguments))
    except NoScriptError:
        return client.eval(source(name), len(keys), *keys, *arguments)


class Pipeline:
    """Commands that were sent together; their answers are read later, while Redis works on them."""

    def __init__(self, client: redis.Redis, names: Sequence[str], *parts: Sequence[Command]) -> None:
        """Send the commands; ``names`` are the scripts among them.

        Each part is sent by itself: Redis writes nothing to anybody, subscribers among them, before it has run (and
        written to disk) all that it has read.

        Raises:
            redis.RedisError: they cannot be sent.
        """
        self._client = client
        self._names = names
        self._parts: list[Sequence[Command]] = [part for part in parts if part]
        self._connection: Any = None
        try:
            self._send()
        except redis.ConnectionError:
            self._send()

    def answers(self) -> list[Any]:
        """Wait for the answers; to be called once.

        If the connection breaks, or the server does not know a script (it was restarted; all are brought along then),
        everything is sent once more: each command must be safe to repeat.

        Raises:
            redis.RedisError: the first error among the answers.
        """
        try:
            answers = self._read()
        except redis.ConnectionError:
            self._send()
            answers = self._read()
        if any(isinstance(answer, NoScriptError) for answer in answers):
            self._parts = [[with_source(command, self._names) for command in part] for part in self._parts]
            self._send()
            answers = self._read()
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _send(self) -> None:
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            for part in self._parts:
                connection.send_packed_command(connection.pack_commands(part))
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise
        self._connection = connection

    def _read(self) -> list[Any]:
        connection, self._connection = self._connection, None
        try:
            return [self._read_one(connection, command) for part in self._parts for command in part]
        except BaseException:
            # Answers that are left unread would be taken for those of whoever has the connection next.
            connection.disconnect()
            raise
        finally:
            self._client.connection_pool.release(connection)

    def _read_one(self, connection: Any, command: Command) -> Any:
        try:
            return self._client.parse_response(connection, command[0])
        except redis.ResponseError as error:
            return error


def run_pipeline(client: redis.Redis, names: Sequence[str], commands: Sequence[Command]) -> list[Any]:
    """Send commands, among them the scripts ``names``, and return their answers, in one round trip.

    Each command must be safe to repeat, as :meth:`Pipeline.answers` says.

    Raises:
        redis.RedisError: the first error among the answers.
    """
    return Pipeline(client, names, commands).answers()
