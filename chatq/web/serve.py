"""Runs the API in gunicorn: its options, its worker processes, and what the process's end means to a shell."""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from gunicorn import glogging
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from chatq.errors import ChatqError, ExitCode
from chatq.settings import Settings
from chatq.web.listen import BACKLOG, listen

log = structlog.get_logger("chatq.web")

GRACE = 8
"""Seconds that requests in hand have after SIGTERM."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker process serves."""

    wsgi: Callable[..., Any]
    drain: Callable[[], None]
    """Called once when the process is to end: tells every socket to reconnect elsewhere; does not wait."""


def serve(settings: Settings, make: Callable[[], Served]) -> ExitCode:
    """Serve HTTP in this process and its workers until SIGTERM or Ctrl-C.

    gevent must have patched the standard library before anything else was imported.

    Args:
        settings: where to listen, and with how many worker processes.
        make: called once in each worker process, after the fork.

    Raises:
        BadSetting: this machine cannot listen there.
        ChatqError: another process does.
    """
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    _allow_many_connections()
    options = {
        "bind": f"fd://{listener.detach()}",
        "backlog": BACKLOG,
        "workers": settings.api_workers,
        "worker_class": "chatq.web.gunicorn_worker.Worker",
        "worker_connections": 20_000,
        "worker_tmp_dir": _memory_directory(),
        # Longer than the 60 s for which proxies and clients keep a connection, so that they close it, not we.
        "keepalive": 75,
        "timeout": 30,
        "graceful_timeout": GRACE,
        "control_socket_disable": True,
        "logger_class": _Log,
        "when_ready": lambda _arbiter: log.info("listening", url=url, processes=settings.api_workers),
    }
    return _Application(options, make).serve()


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    def __init__(self, options: dict[str, Any], make: Callable[[], Served]) -> None:
        self._options = options
        self._make = make
        self._served: Served | None = None
        # Shared with the workers: gunicorn's own exit codes 3 and 4 mean other things than chatq's.
        self._failure = mmap.mmap(-1, 1)
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        try:
            self._served = self._make()
        except ChatqError as error:
            log.critical("cannot start", reason=error.detail)
            self._failure[0] = error.exit_code
            raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None
        return self._served.wsgi

    def drain(self) -> None:
        if self._served is not None:
            self._served.drain()

    def serve(self) -> ExitCode:
        arbiter = os.getpid()
        try:
            _Arbiter(self).run()
        except SystemExit as end:
            if os.getpid() != arbiter:
                raise  # a worker process ends here too
            return ExitCode.DONE if not end.code else ExitCode(self._failure[0] or ExitCode.FAILED)
        return ExitCode.DONE


class _Arbiter(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    def handle_int(self) -> None:
        """End in order on the first Ctrl-C; gunicorn makes the second one quick."""
        self.handle_term()


class _Log(glogging.Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's log goes where all of chatq's goes."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True


def _memory_directory() -> str | None:
    """Return where gunicorn's heartbeat files never wait for a disk."""
    path = Path("/dev/shm")  # noqa: S108  # the files are made by mkstemp
    return str(path) if path.is_dir() and os.access(path, os.W_OK) else None


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as this user may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
