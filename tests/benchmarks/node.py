"""Node programs: those of ``peers/guide``, from a copy with their packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.parts.command import Running

SOURCE = Path(__file__).parent / "peers" / "guide"


class MissingNode(Exception):
    """Node or the packages are not there."""


class Programs:
    """The programs, copied to ``directory``, with the packages that their lock file names.

    A copy, since an installed package is a thousand files that have no place in a source tree.
    """

    def __init__(self, directory: Path) -> None:
        """Install the packages.

        Raises:
            MissingNode: there is no Node, or the packages cannot be installed.
        """
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise MissingNode("The guide's stack and the load client need Node 20 or later, with npm, on PATH.")
        self.node = node
        self._directory = directory
        shutil.copytree(SOURCE, directory, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True)
        command = [npm, "ci", "--ignore-scripts", "--prefer-offline"]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingNode(f"npm ci failed:\n{done.stderr}")

    def run(self, script: str, *arguments: str | int, environment: Mapping[str, str] | None = None) -> dict[str, float]:
        """Run a program to its end and return the JSON that it printed."""
        done = subprocess.run(
            [self.node, script, *map(str, arguments)],
            cwd=self._directory,
            env=_environment(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{script} failed:\n{done.stderr}")
        result: dict[str, float] = json.loads(done.stdout)
        return result

    def start(self, script: str, environment: Mapping[str, str]) -> Running:
        """Start a program and return it running."""
        return Running.start([self.node, script], _environment(environment), self._directory)


def _environment(own: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "NODE_ENV": "production", **(own or {})}
