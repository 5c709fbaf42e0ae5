"""The address that the API listens on: whether it may, and the socket itself."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

from chatq.errors import BadSetting, ChatqError

BACKLOG = 4096
"""Connections that may wait to be accepted: a whole room that comes back at once."""


def check_exposure(host: str) -> None:
    """Check that only this machine can reach ``host``.

    Raises:
        BadSetting: others can, and there is no authentication.
    """
    if not all(ip_address(address[0].partition("%")[0]).is_loopback for _family, address in _resolve(host, 0)):
        raise BadSetting(
            f"CHATQ_HOST is {host!r}: without authentication anybody who reaches that address can act as anybody, so "
            "chatq listens on this machine only (127.0.0.1). Set CHATQ_JWT_SECRET or CHATQ_JWT_JWKS_URL, or, if the "
            "network is trusted, say so with --insecure."
        )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port``.

    Raises:
        BadSetting: this machine has no such address, or the port needs rights that this process lacks.
        ChatqError: another process listens there.
    """
    family, address = _resolve(host, port)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from None
    return listener


def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BadSetting(f"CHATQ_HOST is {host!r}: no address is known for that name ({error}).") from None
    return [(family, (str(address[0]), port)) for family, _type, _protocol, _name, address in found]


def _explained(error: OSError, host: str, port: int) -> ChatqError:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ChatqError(
            f"Another process listens on {where} already. Stop it, or choose another port with --port or CHATQ_PORT."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return BadSetting(f"CHATQ_HOST is {host!r}: that is no address of this machine.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return BadSetting(f"CHATQ_PORT is {port}: this user may not listen on it; choose one from 1024 on.")
    return ChatqError(f"It is impossible to listen on {where}: {error.strerror}.")
