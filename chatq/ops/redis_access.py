"""Why a Redis cannot be asked anything: a reason for each way in which a connection fails."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, InvalidResponse, NoPermissionError

from chatq.ops.finding import Finding, Level


@dataclass(frozen=True, slots=True)
class Reason:
    """A way to fail: how it is recognised, what it means, and whether it may pass by itself."""

    kinds: tuple[type[Exception], ...]
    check: str
    cause: str
    remedy: str
    passes: bool = False
    """Whether waiting may help: the server starts, or its name will be known."""
    says: str = ""
    """Regular expression for the server's words, where its errors share a class."""


REASONS = (
    Reason(
        (BusyLoadingError,),
        "loading",
        "the server has just started and is reading its data back into memory",
        "wait for it with `--wait SECONDS`; it takes the longer the more data there is",
        passes=True,
    ),
    Reason(
        (AuthenticationError,),
        "password",
        "the server asks for a password, and none is configured",
        "set REDIS_PASSWORD, or put the password into REDIS_URL",
        says="required",
    ),
    Reason(
        (redis.RedisError,),
        "password",
        "a password is configured, but the server has none",
        "remove REDIS_PASSWORD, or the password in REDIS_URL, or give the server one (`requirepass`)",
        says="without any password|no password is set",
    ),
    Reason(
        (AuthenticationError,),
        "password",
        "the server refuses this user name or password",
        "correct REDIS_PASSWORD, or the user name and password in REDIS_URL",
    ),
    Reason(
        (NoPermissionError,),
        "permission",
        "the server's access list denies this user a command that chatq needs",
        "give the user all commands on the keys and channels of chatq and RQ: "
        "`ACL SETUSER name ~rq:* ~chatq:* &* +@all -@admin +config|get`",
    ),
    Reason(
        (redis.RedisError,),
        "connection",
        "it has as many clients as it may have",
        "raise its `maxclients`, or see who holds so many connections (`CLIENT LIST`)",
        passes=True,
        says="max number of clients",
    ),
    Reason(
        (socket.gaierror,),
        "connection",
        "no address is known for this host name",
        "correct the host in REDIS_URL or REDIS_HOST; between containers it is the service's name",
        passes=True,
    ),
    Reason(
        (ConnectionRefusedError,),
        "connection",
        "nothing listens there",
        "start Redis (without REDIS_* settings `chatq all` brings a Valkey of its own), or correct host and port in "
        "REDIS_URL, or REDIS_HOST and REDIS_PORT",
        passes=True,
    ),
    Reason(
        (FileNotFoundError,),
        "connection",
        "there is no such socket: the server does not run, or its socket lies elsewhere",
        "start the server (`chatq all` starts the embedded one), or correct the path in REDIS_URL",
        passes=True,
    ),
    Reason(
        (PermissionError,),
        "connection",
        "this user may not open the server's socket",
        "run chatq as the user that owns it, or change its permissions (`unixsocketperm`)",
    ),
    Reason(
        (ssl.SSLError,),
        "connection",
        "the two do not agree on TLS: the certificate is not trusted or names another host, or only one speaks TLS",
        "use rediss:// with TLS and redis:// without; name an authority with `?ssl_ca_certs=FILE` in REDIS_URL",
    ),
    Reason(
        (redis.TimeoutError, TimeoutError),
        "connection",
        "no answer in time: a firewall swallows the packets, the server hangs, or only one of the two speaks TLS",
        "see whether the port is open from here, and whether it is for redis:// or for rediss://",
        passes=True,
    ),
    Reason(
        (InvalidResponse,),
        "connection",
        "what answers there does not speak Redis's protocol",
        "correct the port in REDIS_URL or REDIS_PORT",
    ),
    Reason(
        (redis.ConnectionError, OSError),
        "connection",
        "the connection broke before the server answered",
        # Often the server has said why, but closed the connection before redis-py read it.
        "see what its log says: it may have all the clients it may (`maxclients`), be in protected mode (and need a "
        "password), or speak TLS only (and need rediss://)",
        passes=True,
    ),
    Reason(
        (redis.RedisError,),
        "connection",
        "the server refuses to tell about itself",
        "see whether it really is a Redis, 6.2 or later, or a Valkey, and not a proxy in front of one",
    ),
)
"""All ways, the more particular first."""


def find_reason(error: Exception) -> Reason:
    """Return the reason for an error that was raised instead of an answer."""
    text = str(error)
    chain = list(_chain(error))
    return next(
        reason
        for reason in REASONS
        if any(isinstance(link, reason.kinds) for link in chain) and re.search(reason.says, text, re.IGNORECASE)
    )


def explain(error: Exception, reason: Reason) -> Finding:
    """Return the finding that tells of ``error``."""
    value = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return Finding(check=reason.check, level=Level.PROBLEM, value=value, cause=reason.cause, remedy=reason.remedy)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    # redis-py raises its ConnectionError out of the handler of the socket's error, which says more.
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
