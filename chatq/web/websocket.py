"""The address of the websocket: the handshake, and what Flask-Sock needs to serve it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import flask_sock
from flask import Flask, request

from chatq.domain.messages import max_document_bytes
from chatq.errors import ChatqError, OriginRefused, RequestRefused, UpgradeRequired
from chatq.realtime.connection import Connection
from chatq.realtime.framing import CloseCode
from chatq.realtime.session import Session
from chatq.realtime.shared import Shared
from chatq.web.plain import read_handshake
from chatq.web.requests import Environ
from chatq.web.security import Gate

if TYPE_CHECKING:
    from gevent.socket import socket as Socket  # noqa: N812  # a class by a lower-case name


_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server:
    """What Flask-Sock hands to a route: a connection whose handshake is done.

    Takes the place of simple-websocket's class of this name, which has a thread for each socket, writes
    without a lock, ignores what the kernel did not take, and bounds nothing.
    """

    mode = "gunicorn"
    """Tells Flask-Sock how the request ends: the socket is not gunicorn's any more."""

    def __init__(self, environ: Environ, *, max_message_bytes: int) -> None:
        self.connection = Connection(shake_hands(environ), max_message_bytes)

    def close(self) -> None:
        """Do nothing: the session has ended its connection."""


# Flask-Sock offers no other way to choose its server.
flask_sock.Server = Server


class Sockets:
    """Begins the sessions of one process."""

    def __init__(self, gate: Gate, shared: Shared) -> None:
        self._gate = gate
        self._shared = shared
        self._limit = max_document_bytes(shared.max_content_bytes)

    def add_to(self, app: Flask) -> None:
        """Add the route ``/ws``."""
        app.config["SOCK_SERVER_OPTIONS"] = {"max_message_bytes": self._limit}
        sock: Any = flask_sock.Sock(app)

        def serve(server: Server) -> None:
            self._begin(server.connection, request.environ)()

        sock.route("/ws")(serve)

    def accept(self, client: Socket, data: bytes) -> Callable[[], None] | None:
        """Return what runs a session, if ``data``, which lies unread in ``client``, is a plain handshake that succeeds.

        Raises:
            OSError: the connection broke.
        """
        found = read_handshake(data)
        if found is None:
            return None
        environ, size = found
        try:
            self._gate.admit(environ)
            answer = accept_handshake(environ)
        except ChatqError:
            # The way of all other requests is the one that says why not.
            return None
        while size:
            size -= len(client.recv(size))
        return self._begin(Connection(client, self._limit), environ, answer)

    def _begin(self, connection: Connection, environ: Environ, answer: bytes = b"") -> Callable[[], None]:
        session = Session(connection, self._shared)
        try:
            self._gate.check_origin(environ)
        except OriginRefused as error:
            # A page does not get to see the status of a handshake, but it does see a close code.
            connection.send(answer)
            connection.close(CloseCode.FORBIDDEN, error.detail)
            return session.run
        return partial(session.run, answer)


def accept_handshake(environ: Environ) -> bytes:
    """Return the answer that accepts a websocket handshake (RFC 6455, section 4.2).

    No extension and no subprotocol is agreed to.

    Raises:
        UpgradeRequired: it asks for another version of the protocol.
        RequestRefused: its key is none.
    """
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise UpgradeRequired("Version 13 of the websocket protocol is spoken here.")
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise RequestRefused("Sec-WebSocket-Key must be 16 bytes in base64.")
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def shake_hands(environ: Environ) -> Socket:
    """Accept a websocket handshake and return the socket, which is nobody else's now.

    Raises:
        UpgradeRequired: it asks for another version of the protocol.
        RequestRefused: its key is none.
        ChatqError: the server does not hand its sockets out.
    """
    answer = accept_handshake(environ)
    socket: Socket | None = environ.get("gunicorn.socket")
    if socket is None:
        raise ChatqError("Websockets need chatq's own server: `chatq api`.")
    socket.sendall(answer)
    return socket
