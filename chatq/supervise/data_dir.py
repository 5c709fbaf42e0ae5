"""The data directory of ``chatq all``: made, and held so that only one works on it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from chatq.errors import BadSetting, ChatqError

_PATIENCE = 15.0
"""Seconds that the processes of a killed predecessor have to go away; its guard needs one or two."""

_LOOK = 0.02


def make_private(path: Path) -> None:
    """Make the data directory, for this user alone, unless it exists.

    Raises:
        BadSetting: it cannot be made, or is none.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from None


def unusable(path: Path, error: OSError) -> BadSetting:
    """Return the error that says that the data directory cannot be used."""
    what = "it is no directory" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
    return BadSetting(f"CHATQ_DATA_DIR: {str(path)!r} cannot be used: {what}. Choose another with --data-dir.")


def hold(path: Path) -> int:
    """Hold the data directory for this process; return a descriptor to be left open by all who work on it.

    Two locks: a record lock on ``supervisor.pid`` ends with this process, whatever it started; the other,
    on ``lock``, goes on until the descriptor is closed everywhere, so that a successor waits until the guard
    has ended what a killed supervisor left behind.

    Raises:
        BadSetting: this user may not write there.
        ChatqError: another process holds it.
    """
    owner = _open(path, "supervisor.pid")
    if not _taken(fcntl.lockf, owner):
        pid = os.pread(owner, 32, 0).decode(errors="replace").strip()
        raise ChatqError(
            f"`chatq all` works on the data directory {path} already, as process {pid}. "
            "Stop it, or choose another directory with --data-dir."
        )
    os.ftruncate(owner, 0)
    os.pwrite(owner, f"{os.getpid()}\n".encode(), 0)
    descriptor = _open(path, "lock")
    deadline = time.monotonic() + _PATIENCE
    while not _taken(fcntl.flock, descriptor):
        if time.monotonic() > deadline:
            raise ChatqError(f"Processes that a killed `chatq all` left behind in {path} do not end; kill them.")
        time.sleep(_LOOK)
    return descriptor


def _open(directory: Path, name: str) -> int:
    try:
        return os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(directory, error) from None


def _taken(lock: Callable[[int, int], object], descriptor: int) -> bool:
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
