"""Somebody who reads a page and does, in one directory and one terminal, all that it says."""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.documents.markdown import Block, blocks
from tests.parts.command import Running
from tests.parts.node import NODE
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_SECONDS, until

Act = Callable[["Reader", Block], object]

MARKS = {"file", "start", "restart", "soon", "exits", "see", "elsewhere", "other", "test-command"}


class Reader:
    """Reads one page.

    ``replaced`` are words of the page and what they are here, such as ports; ``sees`` are the looks that the page asks
    for by ``<!-- see: … -->``; ``acts`` say what to do with blocks in languages of other programs.
    """

    def __init__(
        self,
        page: Path,
        directory: Path,
        environment: Mapping[str, str],
        *,
        replaced: Mapping[str, str] | None = None,
        sees: Mapping[str, Act] | None = None,
        acts: Mapping[str, Act] | None = None,
    ) -> None:
        self.page = page
        self._environment = dict(environment)
        self._replaced = dict(replaced or {})
        self._sees = dict(sees or {})
        self._programs = {"sh": self._shell, "python": self._python, "js": self._node, "text": self._compare}
        self._acts = dict(acts or {})
        self._running: list[Running] = []
        self._again: str | None = None
        self._output: Callable[[], str] = str
        self.shown = ""
        """What the last command printed on its standard output."""
        # What a terminal keeps from one command to the next: the directory and the variables.
        self._kept = directory / ".terminal"
        self._kept.write_text(f"cd {shlex.quote(str(directory))}\n")

    @property
    def running(self) -> Running:
        """What was started last."""
        return self._running[-1]

    @property
    def directory(self) -> Path:
        """Where the reader is."""
        return Path(shlex.split(self._kept.read_text().splitlines()[-1])[1])

    def read(self) -> None:
        """Do all that the page says; what it started is ended by Ctrl-C."""
        try:
            for block in blocks(self.page):
                self._do(block)
            assert not self._sees, f"{self.page.name} asks for none of {sorted(self._sees)}"
            self.stop()
        finally:
            # Nothing runs any more unless something failed.
            for running in self._running:
                running.close()
                print(running.output)

    def stop(self) -> None:
        """End what runs by Ctrl-C."""
        while self._running:
            running = self._running.pop()
            os.killpg(running.pid, signal.SIGINT)
            status = running.wait()
            assert status == 0, f"ended with {status}:\n{running.output}"

    def adapted(self, text: str) -> str:
        """Return a text of the page with the words that are others here."""
        for word, here in self._replaced.items():
            text = text.replace(word, here)
        return text

    def run(self, script: str, status: int = 0) -> str:
        """Run lines of a shell, which end with ``status``, and return what they print."""
        keep = f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {shlex.quote(str(self._kept))}"
        done = subprocess.run(
            self._bash(f"{script}\n{keep}"),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, f"{script}\n{done.stdout}{done.stderr}"
        output = f"{done.stdout}\n{done.stderr}"
        self._output = lambda: output
        self.shown = done.stdout
        return done.stdout

    def start(self, script: str, pattern: str) -> Running:
        """Run lines of a shell until the page ends, or starts them anew; wait until they print ``pattern``."""
        running = Running.start(self._bash(script), self._environment)
        self._running.append(running)
        self._output = lambda: running.output
        running.wait_for(re.escape(pattern))
        return running

    def save(self, name: str, text: str) -> Path:
        """Save a file and return its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _do(self, block: Block) -> None:
        marks = block.marks
        unknown = marks.keys() - MARKS
        assert not unknown, f"{block}: nobody knows what {unknown} mean"
        if "elsewhere" in marks:
            assert self.page.name in (ROOT / marks["elsewhere"]).read_text(), block
        elif "other" in marks:
            self._look_at_syntax(block)
        elif block.kind in self._acts:
            self._acts[block.kind](self, block)
        elif "file" in marks:
            self.named(block)
        elif block.kind:
            assert block.kind in self._programs, f"{block}: nobody knows what to do with {block.kind!r}"
            self._programs[block.kind](block)
        if "see" in marks:
            self._sees.pop(marks["see"])(self, block)

    def named(self, block: Block) -> Path:
        """Save a block as the file whose name the text before it tells; return its path."""
        name = block.marks["file"]
        assert f"`{name}`" in block.before, f"{block}: the text before it does not say that it is {name}"
        return self.save(name, self.adapted(block.text))

    def _shell(self, block: Block) -> None:
        script, marks = self.adapted(block.text), block.marks
        if "restart" in marks:
            self.stop()
        if pattern := marks.get("start") or marks.get("restart"):
            self.start(script, self.adapted(pattern))
            return
        self._again = script if "soon" in marks else None
        self.run(script, int(marks.get("exits", "0")))

    def _python(self, block: Block) -> None:
        self.run(f"python3 -c {shlex.quote(self.adapted(block.text))}")

    def _node(self, block: Block) -> None:
        self.run(f"{NODE} --input-type=module --eval {shlex.quote(self.adapted(block.text))}")

    def _compare(self, block: Block) -> None:
        """Look whether what was done last shows these lines, in this order; ``…`` stands for anything."""
        expected = [line.strip() for line in self.adapted(block.text).splitlines() if line.strip()]
        again, self._again = self._again, None

        def shown() -> bool:
            lines = iter(self._output().splitlines())
            if all(any(_like(line, wanted) for line in lines) for wanted in expected):
                return True
            if again is not None:
                self.run(again)
            return False

        try:
            until(shown, seconds=0 if again is None else PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{block} is not what was printed:\n{self._output()}") from error

    def _look_at_syntax(self, block: Block) -> None:
        if block.kind == "python":
            ast.parse(block.text)
        else:
            assert block.kind == "js", block
            path = self.save("other.mjs", block.text)
            self.run(f"{NODE} --check {shlex.quote(str(path))}")

    def _bash(self, script: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", f". {shlex.quote(str(self._kept))}\n{script}"]


def _like(line: str, wanted: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), line.strip()) is not None
