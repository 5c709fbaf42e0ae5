"""A reader in a directory of its own, with ports that nobody else uses."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.documents.reader import Act, Reader
from tests.parts.ports import free_port
from tests.parts.root import ROOT

Read = Callable[..., Reader]


def installed(directory: Path) -> dict[str, str]:
    """Return the environment of somebody who has installed chatq: ``chatq`` and ``python3`` are those of the tests."""
    programs = directory / ".bin"
    programs.mkdir()
    command = programs / "chatq"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chatq "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(directory), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def reader(tmp_path: Path) -> Read:
    """A function that returns a reader of a page, for whom chatq listens on a port of its own."""

    def make(
        page: str,
        *,
        environment: Mapping[str, str] | None = None,
        replaced: Mapping[str, str] | None = None,
        sees: Mapping[str, Act] | None = None,
        acts: Mapping[str, Act] | None = None,
    ) -> Reader:
        port = free_port()
        return Reader(
            ROOT / page,
            tmp_path,
            {**(environment or installed(tmp_path)), "CHATQ_PORT": str(port)},
            replaced={"127.0.0.1:8000": f"127.0.0.1:{port}", **(replaced or {})},
            sees=sees,
            acts=acts,
        )

    return make
