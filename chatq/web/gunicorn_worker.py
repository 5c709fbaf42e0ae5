"""gunicorn's gevent worker, with an end that neither cuts anybody off nor waits for the idle."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from socket import MSG_PEEK
from types import FrameType, TracebackType
from typing import Any, Self

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.util import write_nonblock
from gunicorn.workers.ggevent import GeventWorker

from chatq.web.plain import PEEK_BYTES, serve_plain, whole_response
from chatq.web.responses import write_at_once
from chatq.web.unreadable import answer_unreadable


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn ships no types
    """One process that serves requests and sockets.

    On SIGTERM it accepts no more connections, closes those that wait for a next request, has the application
    tell its sockets to go elsewhere (``app.drain``), and ends when the last answer is sent or
    ``graceful_timeout`` is over.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = Event()
        self._idle: set[_Idle] = set()

    def init_signals(self) -> None:
        """Leave the terminal's Ctrl-C, which reaches all processes at once, to the arbiter."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def init_process(self) -> None:
        """Begin this process's work."""
        write_at_once()
        super().init_process()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end."""
        super().handle_exit(sig, frame)
        self._stopping.set()

    def timeout_ctx(self) -> gevent.Timeout:
        """Return what bounds the wait for a connection's next request."""
        return _Idle(self.cfg.keepalive if self.alive else 0.001, self._idle)

    def run(self) -> None:
        """Serve until told to stop, then finish what is in hand."""
        pool = Pool(self.worker_connections)
        servers = [self._server(listener, pool) for listener in self.sockets]
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            self._stopping.wait(1.0)
        for server in servers:
            server.close()
        for idle in list(self._idle):
            idle.end()
        self.app.drain()
        left = self.cfg.graceful_timeout
        while left > 0 and not pool.join(timeout=1.0):
            self.notify()
            left -= 1
        pool.kill(block=False)

    def handle(self, listener: Any, client: Any, address: Any) -> None:
        """Serve a connection: plain requests as long as there are such, then whatever gunicorn makes of it."""
        try:
            session = None
            plain = True
            while plain and self.alive and session is None:
                session, plain = self._serve_plain(client)
            if session is not None:
                session()
        except OSError:
            # It broke, or its client had enough; there is nobody to tell.
            client.close()
            return
        if plain:
            client.close()
        else:
            super().handle(listener, client, address)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that could not be read."""
        with suppress(OSError):
            write_nonblock(client, whole_response(answer_unreadable(exc), "close"))

    def _serve_plain(self, client: Any) -> tuple[Callable[[], None] | None, bool]:
        """Serve the next request if it is plain, and tell whether it was; or return what runs the session it begins."""
        data = b""
        with self.timeout_ctx():
            data = client.recv(PEEK_BYTES, MSG_PEEK)
        if not data:
            raise ConnectionAbortedError
        session = self.wsgi.sockets.accept(client, data)
        if session is not None:
            return session, True
        return None, serve_plain(client, data, self.wsgi.accept_message, lambda: bool(self.alive))

    def _server(self, listener: Any, pool: Pool) -> StreamServer:
        listener.setblocking(1)

        def handle(client: Any, address: Any) -> None:
            self.handle(listener, client, address)

        server = StreamServer(listener, handle=handle, spawn=pool)
        if self.cfg.workers > 1:
            # So that a burst of connections is shared among the processes.
            server.max_accept = 1
        return server


class _Idle(gevent.Timeout):  # type: ignore[misc]  # gevent ships no types
    """The wait of one connection for its next request; silently over after some seconds, or at once by ``end``."""

    def __init__(self, seconds: float, waiting: set[_Idle]) -> None:
        super().__init__(seconds, exception=False)
        self._waiting = waiting
        self._greenlet: gevent.Greenlet | None = None

    def __enter__(self) -> Self:
        self._greenlet = gevent.getcurrent()
        self._waiting.add(self)
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._waiting.discard(self)
        return bool(super().__exit__(kind, value, trace))

    def end(self) -> None:
        """End the wait as if its time were over."""
        gevent.kill(self._greenlet, self)
