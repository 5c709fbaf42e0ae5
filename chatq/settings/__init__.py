"""The settings, and the only place that reads the environment.

Environment, then a ``.env`` file in the current directory, then command flags: a later one wins. An empty
value means "not set", so that ``REDIS_URL=`` in a ``.env`` file undoes the environment's. Everything is
checked here, before anything connects. ``variables`` is the table of them, ``parse`` says which texts each
may have.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, TypeVar, cast

from chatq.domain.rate import Rate
from chatq.errors import BadSetting
from chatq.settings import parse
from chatq.settings.parse import without_password
from chatq.settings.variables import BY_NAME, VARIABLES, Variable

_SECRETS = frozenset(("REDIS_PASSWORD", "CHATQ_JWT_SECRET"))
"""Taken as they are, white space included, and never shown."""

Durability = Literal["memory", "aof", "replica"]
"""``memory``: Redis has it. ``aof``: it is fsynced. ``replica``: another server has it."""
LogFormat = Literal["console", "json"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process of chatq is to work with, checked."""

    redis_url: str | None
    """``redis://``, ``rediss://`` or ``unix://``; None if no ``REDIS_*`` variable is set."""
    database_url: str
    """For SQLAlchemy: ``sqlite:////absolute/path`` or ``postgresql+psycopg://…``."""
    data_dir: Path
    """Absolute."""
    host: str
    port: int
    api_workers: int
    lanes: int
    jwt_secret: str | None = field(repr=False)
    """Of tokens signed with HS256; None if there are no such."""
    jwt_jwks_url: str | None
    """Where the public keys of tokens signed with RS256 or ES256 are; None if there are no such."""
    jwt_audience: str | None
    """What a token's ``aud`` must name, if anything."""
    allowed_origins: tuple[str, ...]
    """Exact values of ``Origin``; empty for the same origin only."""
    durability: Durability | None
    """None if not chosen: ``aof`` with the embedded server, ``memory`` with another."""
    max_content_bytes: int
    max_queue_depth: int
    rate_limit: Rate | None
    """How many messages a user may send; None for as many as they like."""
    log_format: LogFormat
    log_level: str

    @property
    def asks_for_tokens(self) -> bool:
        """Whether callers must say with a token who they are; if not, this is development mode."""
        return self.jwt_secret is not None or self.jwt_jwks_url is not None


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    directory: Path | None = None,
    terminal: bool | None = None,
) -> Settings:
    """Return the settings of this process.

    Args:
        flags: what the command line says, by variable name; None is "not said".
        environ: the environment.
        directory: where ``.env`` lies and relative paths begin; by default the current directory.
        terminal: whether people read the log; by default, whether stderr is a terminal.

    Raises:
        BadSetting: naming the variable, its value unless it is secret, and what is allowed.
    """
    directory = Path.cwd() if directory is None else directory
    said = {name: str(value) for name, value in (flags or {}).items() if value is not None}
    values = _Values({**environ, **_dot_env(directory / ".env"), **said}, frozenset(said))
    data_dir = values.read("CHATQ_DATA_DIR", lambda text: parse.directory(text, directory))
    database_url = values.maybe("DATABASE_URL", lambda text: parse.database_url(text, directory))
    durability = values.maybe("CHATQ_DURABILITY", parse.one_of("memory", "aof", "replica"))
    person = sys.stderr.isatty() if terminal is None else terminal
    log_format = values.maybe("CHATQ_LOG_FORMAT", parse.one_of("console", "json"))
    return Settings(
        redis_url=_redis_url(values),
        database_url=database_url or f"sqlite:///{data_dir}/chatq.sqlite3",
        data_dir=data_dir,
        host=values.read("CHATQ_HOST", parse.host),
        port=values.read("CHATQ_PORT", parse.whole(1, 65535)),
        api_workers=values.read("CHATQ_API_WORKERS", parse.whole(0, 1024)),
        lanes=values.read("CHATQ_LANES", parse.whole(1, 4096)),
        **_tokens(values),
        allowed_origins=values.maybe("CHATQ_ALLOWED_ORIGINS", parse.origins) or (),
        durability=cast("Durability | None", durability),
        max_content_bytes=values.read("CHATQ_MAX_CONTENT_BYTES", parse.whole(1, 1 << 20)),
        max_queue_depth=values.read("CHATQ_MAX_QUEUE_DEPTH", parse.whole(1, 1_000_000_000)),
        rate_limit=values.maybe("CHATQ_RATE_LIMIT", parse.rate),
        log_format=cast("LogFormat", log_format or ("console" if person else "json")),
        log_level=values.read("CHATQ_LOG_LEVEL", parse.log_level),
    )


class _Values:
    """The texts that were given, by variable name, and what is said when one cannot be used."""

    def __init__(self, texts: Mapping[str, str], flags: frozenset[str]) -> None:
        kept = {name: text if name in _SECRETS else text.strip() for name, text in texts.items()}
        self._texts = {name: text for name, text in kept.items() if name in BY_NAME and text}
        self._flags = flags

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def maybe(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the parsed value, or None if there is none; ``parse`` raises ValueError in words."""
        text = self._texts.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            flag = BY_NAME[name].flag
            where = f"{flag} ({name})" if name in self._flags and flag else name
            shown = "***" if name in _SECRETS else repr(without_password(text)[:120])
            raise BadSetting(f"{where} is {shown}: {error}.") from None

    def read(self, name: str, parse: Callable[[str], T]) -> T:
        """Return the parsed value, by default the variable's own default."""
        value = self.maybe(name, parse)
        return parse(BY_NAME[name].default) if value is None else value


def _redis_url(values: _Values) -> str | None:
    if "REDIS_URL" in values:
        return values.maybe("REDIS_URL", parse.redis_url)
    if not any(name in values for name in ("REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD")):
        return None
    host = values.read("REDIS_HOST", parse.host)
    port = values.read("REDIS_PORT", parse.whole(1, 65535))
    return parse.folded_redis_url(host, port, values.maybe("REDIS_PASSWORD", str))


class _Tokens(TypedDict):
    jwt_secret: str | None
    jwt_jwks_url: str | None
    jwt_audience: str | None


def _tokens(values: _Values) -> _Tokens:
    secret = values.maybe("CHATQ_JWT_SECRET", parse.jwt_secret)
    url = values.maybe("CHATQ_JWT_JWKS_URL", parse.jwks_url)
    audience = values.maybe("CHATQ_JWT_AUDIENCE", str)
    if audience is not None and secret is None and url is None:
        raise BadSetting(
            "CHATQ_JWT_AUDIENCE is set, but no key that a token could be checked with: set CHATQ_JWT_SECRET or "
            "CHATQ_JWT_JWKS_URL as well."
        )
    return {"jwt_secret": secret, "jwt_jwks_url": url, "jwt_audience": audience}


def _dot_env(path: Path) -> dict[str, str]:
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadSetting(f"{path} cannot be read: it is not UTF-8.") from None
    from dotenv import dotenv_values  # noqa: PLC0415  # most directories have no such file
    from dotenv.parser import parse_stream  # noqa: PLC0415  # see above

    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise BadSetting(f"{path}, line {binding.original.line}: this is no NAME=VALUE.")
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


__all__ = ["VARIABLES", "Durability", "LogFormat", "Settings", "Variable", "load", "without_password"]
