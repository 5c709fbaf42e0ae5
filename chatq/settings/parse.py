"""Which texts a setting may have: each function returns the value, or raises ValueError saying what is needed.

No message repeats the text, which may hold a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from chatq.domain.rate import Rate
from chatq.settings.loopback import is_loopback

MIN_SECRET_BYTES = 32
"""As many as HS256 has bytes of its own: a shorter secret is easier to guess than the signature."""

_RATE = re.compile(r"([0-9]{1,7})(?:/([smh]))?")
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")
_PASSWORD_IN_QUERY = re.compile(r"([?&][^=&]*password=)[^&]*", re.IGNORECASE)
_NO_PORT = re.compile(r"^(\[[^\]]*\]|[^:/?#\[]*):(?![0-9]*([/?#]|$))[^/?#]*")
_REDIS_PARAMETERS = "db|username|password|client_name"
_ENCODE = "in a user name or password, write all but letters and digits percent-encoded"


def without_password(url: str) -> str:
    """Return ``url`` fit to be shown: the password replaced by ``***``, even if the URL is malformed."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    user_info, at, host = rest.rpartition("@")
    user, colon, _password = user_info.partition(":")
    shown = user + (":***" if colon else "") + at + _NO_PORT.sub(r"\1:***", host)
    return _PASSWORD_IN_QUERY.sub(r"\1***", scheme + separator + shown)


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} is needed")
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of some words, in capital or small letters."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"{', '.join(choices[:-1])} or {choices[-1]} is needed")
        return text.lower()

    return read


def rate(text: str) -> Rate:
    """Return a rate: ``20/s``, ``600/m``, ``5000/h``, or ``20`` for as many a second."""
    found = _RATE.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= 1_000_000:
        raise ValueError("from 1 to 1000000 messages a second, minute or hour are needed: 20/s, 600/m or 5000/h")
    return Rate(int(found[1]), _UNITS[found[2]])


def log_level(text: str) -> str:
    """Return the name of a log level, in capitals."""
    return one_of("debug", "info", "warning", "error", "critical")(text).upper()


def directory(text: str, base: Path) -> Path:
    """Return an absolute path, which begins at ``base`` if it is relative."""
    if re.search(r"[\x00-\x1f?]", text):
        raise ValueError("a path without '?' and control characters is needed")
    try:
        return Path(os.path.normpath(base / Path(text).expanduser()))
    except RuntimeError:
        raise ValueError("the home directory that '~' stands for is not known") from None


def host(text: str) -> str:
    """Return a host name or an IP address, an IPv6 one without its brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _HOST.fullmatch(bare):
        raise ValueError("a host name or an IP address is needed, without port")
    return bare


def origins(text: str) -> tuple[str, ...]:
    """Return the origins of a list with commas, as browsers write them."""
    found = [part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()]
    for origin in found:
        parts = _split(origin)
        is_origin = parts.scheme in {"http", "https"} and origin == f"{parts.scheme}://{parts.netloc}"
        if not is_origin or not parts.hostname or "@" in origin or "*" in origin:
            raise ValueError("origins such as https://chat.example:8443 are needed, separated by commas")
    # Browsers leave out the port that goes without saying.
    return tuple(dict.fromkeys(each.removesuffix(":443" if each.startswith("https:") else ":80") for each in found))


def redis_url(url: str) -> str:
    """Return the URL of a Redis."""
    parts = _split(url)
    if parts.scheme in {"redis+sentinel", "redis+cluster"}:
        raise ValueError(f"{parts.scheme}:// is not supported; name one server, redis://host:6379/0")
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("a URL that begins with redis://, rediss:// or unix:// is needed")
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.path == "/":
            raise ValueError("the absolute path of a socket is needed, unix:///run/valkey.sock")
    elif not re.fullmatch(r"(/[0-9]{0,6})?", parts.path):
        raise ValueError("after the host only the number of a database may stand, redis://localhost:6379/0")
    # redis-py would take any other for an argument of its own, and with it chatq's timeouts and encoding away.
    allowed = _REDIS_PARAMETERS + ("|ssl_[a-z_]+" if parts.scheme == "rediss" else "")
    if not all(re.fullmatch(allowed, name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError("behind '?' only db, username, password and client_name may stand, and ssl_... with rediss://")
    return url


def folded_redis_url(host: str, port: int, password: str | None) -> str:
    """Return the URL of the Redis that the three simple variables name."""
    user_info = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{user_info}{f'[{host}]' if ':' in host else host}:{port}/0"


def database_url(url: str, base: Path) -> str:
    """Return the URL of a database as SQLAlchemy wants it; a relative SQLite file begins at ``base``."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() == "sqlite" and separator:
        return _sqlite_url(rest, base)
    if scheme.lower() not in {"postgres", "postgresql", "postgresql+psycopg"} or not separator:
        raise ValueError("a URL that begins with sqlite:///, postgresql:// or postgres:// is needed")
    parts = _split(f"postgresql://{rest}")
    if parts.path.count("/") > 1:
        raise ValueError("after the host only the name of a database may stand, postgresql://localhost/chatq")
    return f"postgresql+psycopg://{rest}"


def _sqlite_url(rest: str, base: Path) -> str:
    path, question, query = rest.removeprefix("/").partition("?")
    if not rest.startswith("/") or path in {"", "/", ":memory:"} or path.startswith("file:") or path.endswith("/"):
        raise ValueError("a file is needed, sqlite:///relative/path or sqlite:////absolute/path")
    if re.search(r"[\x00-\x1f]", path):
        raise ValueError("a path without control characters is needed")
    return f"sqlite:///{os.path.normpath(base / path)}{question}{query}"


def _split(url: str) -> SplitResult:
    """Split a URL; what the standard library would swallow in silence is refused."""
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"a URL has neither white space nor control characters; {_ENCODE}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"this is no URL; {_ENCODE}") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("a port is a number from 1 to 65535")
    if parts.fragment or parts.netloc.count("@") > 1:
        raise ValueError(f"this is no URL; {_ENCODE}")
    return parts


def jwt_secret(text: str) -> str:
    """Return a secret that is long enough for HS256 (RFC 7518, section 3.2) and no other kind of key."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("a secret in UTF-8 is needed") from None
    if size < MIN_SECRET_BYTES:
        raise ValueError(f"{MIN_SECRET_BYTES} bytes or more are needed; `openssl rand -hex 32` makes such a secret")
    if re.search(r"-----BEGIN|\A(ssh|ecdsa|sk)-|\A\s*[\[{]", text):
        raise ValueError("a shared secret is needed; public keys are found through CHATQ_JWT_JWKS_URL")
    return text


def jwks_url(url: str) -> str:
    """Return the URL of a JSON Web Key Set, which nobody on the way can have changed."""
    parts = _split(url)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise ValueError("a URL that begins with https:// is needed (or with http://, on this machine)")
    return url
