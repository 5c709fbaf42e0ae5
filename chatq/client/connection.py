"""One connection, in a thread of its own that opens it and reads, and another that writes.

The library is ``websockets``: its sync client sends from any thread, writes whole frames whatever the kernel
takes at once, knows TLS and proxies, works under gevent, and requires nothing else. (simple-websocket, which
comes with Flask-Sock, ignores partial writes; wsproto, which the server uses, leaves all but the frames to us.)
"""

from __future__ import annotations

import json
import logging
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
ABNORMAL = 1006

log = logging.getLogger("chatq.client")


class Receiver(Protocol):
    """Who takes what a connection brings, in the connection's thread."""

    def opened(self, connection: Connection, token: str | None) -> None:
        """Learn that frames can be sent from now on."""

    def received(self, connection: Connection, frame: Frame) -> None:
        """Take a frame."""

    def ended(self, connection: Connection, code: int, reason: str) -> None:
        """Learn that there is no connection any more, or was none."""


class Connection:
    """Opens a connection when it is made, and tells a receiver of all that comes of it."""

    def __init__(self, url: str, get_token: Callable[[], str] | None, receiver: Receiver) -> None:
        self._url = url
        self._get_token = get_token
        self._receiver = receiver
        self._socket: ClientConnection | None = None
        self._outgoing: queue.Queue[str | None] = queue.Queue()
        """Frames that wait to be written; None for the end."""
        self._writer = threading.Thread(target=self._write, name="chatq-writing", daemon=True)
        threading.Thread(target=self._run, name="chatq-connection", daemon=True).start()

    def send(self, frame: Frame) -> None:
        """Have a frame sent, without waiting; one that cannot be sent is lost with its connection."""
        self._outgoing.put(json.dumps(frame))

    def close(self) -> threading.Thread:
        """End the connection once all is written, and return the thread that does so."""
        self._outgoing.put(None)
        thread = threading.Thread(target=self._close, name="chatq-closing", daemon=True)
        thread.start()
        return thread

    def _close(self) -> None:
        if self._socket is None:
            return
        # It may not have begun yet: the connection is open for a moment only.
        if self._writer.is_alive():
            self._writer.join(CLOSE_TIMEOUT)
        if self._writer.is_alive():
            # The server takes nothing: whoever writes would wait for as long as TCP believes in it.
            with suppress(OSError):
                self._socket.socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _write(self) -> None:
        with suppress(ConnectionClosed):
            while self._socket is not None and (message := self._outgoing.get()) is not None:
                self._socket.send(message)

    def _run(self) -> None:
        code, reason = ABNORMAL, "no connection"
        try:
            token = self._token()
            with connect(
                self._url,
                compression=None,
                max_size=None,
                ping_interval=None,  # the protocol's own heartbeats tell more
                open_timeout=OPEN_TIMEOUT,
                close_timeout=CLOSE_TIMEOUT,
            ) as self._socket:
                self._writer.start()
                self._receiver.opened(self, token)
                for message in self._socket:
                    self._receiver.received(self, json.loads(message))
                code, reason = self._socket.protocol.close_code or ABNORMAL, self._socket.protocol.close_reason or ""
        except ConnectionClosed as error:
            if error.rcvd is not None:
                code, reason = error.rcvd.code, error.rcvd.reason
        except _NoToken:
            reason = "no token"
        except (OSError, ValueError, ImportError, WebSocketException) as error:
            # No JSON, a name that no DNS takes, or a kind of proxy for which a package is missing, too.
            reason = str(error)
        finally:
            self._outgoing.put(None)
            self._receiver.ended(self, code, reason)

    def _token(self) -> str | None:
        try:
            return self._get_token() if self._get_token is not None else None
        except Exception as error:
            # The user's own function may raise anything, and do better next time.
            log.exception("there is no token")
            raise _NoToken from error


class _NoToken(Exception):
    """The user's function has none at present."""
