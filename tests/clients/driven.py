"""A client in a process of its own, as a test sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from tests.parts.forking import Forked, Program
from tests.parts.node import NODE
from tests.parts.root import ROOT
from tests.parts.waiting import PATIENCE_SECONDS

MODULE = ROOT / "chatq" / "web" / "static" / "chatq.js"
HERE = Path(__file__).parent

KINDS: dict[str, Program | None] = {
    "javascript": None,
    "threads": Program("tests.clients.driver:main"),
    "gevent": Program("tests.clients.driver:main", gevent=True),
}
"""The clients, each with what runs in its process, unless that is Node.js."""

NUMBERED = ("newMessage", "messageEdited", "messageDeleted", "messageStatus")


class Refused(Exception):
    """The client says that something failed, by a code or the name of an error."""


class Driven:
    """Gives commands to a client and collects its events."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        settings = json.dumps({"module": MODULE.as_uri(), "url": url, **options})
        self.events: list[dict[str, Any]] = []
        """Everything that the client told, in order."""
        self.errors: list[str] = []
        """What it wrote to stderr."""
        self._changed = Condition()
        self._asked: dict[int, Future[Any]] = {}
        self._process: subprocess.Popen[str] | Forked
        if program := KINDS[kind]:
            self._process = Forked(program, [settings], directory=ROOT, environment=os.environ, orders=True)
        else:
            command = [NODE, str(HERE / "driver.mjs"), settings]
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        self._readers = [Thread(target=self._read), Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def start(self, command: str, **fields: Any) -> Future[Any]:
        """Give a command, and return what will be its result."""
        number = len(self._asked)
        outcome = self._asked[number] = Future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **fields}) + "\n")
        self._process.stdin.flush()
        return outcome

    def do(self, command: str, **fields: Any) -> Any:
        """Give a command and return its result.

        Raises:
            Refused: it failed.
        """
        return self.start(command, **fields).result(PATIENCE_SECONDS)

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Return the first true value of a condition on what the client has told."""
        with self._changed:
            found = self._changed.wait_for(condition, seconds)
        assert found, f"not within {seconds} s; there are {self.events[-20:]}\n{''.join(self.errors[-40:])}"
        return found

    def expect(self, kind: str) -> dict[str, Any]:
        """Return the first event of a kind, once there is one."""
        found: dict[str, Any] = self.wait(lambda: next((e for e in self.events if e["type"] == kind), None))
        return found

    def numbered(self, conversation: str) -> list[dict[str, Any]]:
        """Return the events of a conversation so far."""
        return [e for e in self.events if e["type"] in NUMBERED and e["conversationId"] == conversation]

    def seqs(self, conversation: str) -> list[int]:
        """Return the numbers of a conversation's events so far."""
        return [event["seq"] for event in self.numbered(conversation)]

    def contents(self, conversation: str) -> list[str]:
        """Return the contents of a conversation's new messages so far."""
        return [e["message"]["content"] for e in self.numbered(conversation) if e["type"] == "newMessage"]

    def wait_for_seqs(self, conversation: str, count: int) -> None:
        """Wait until there were so many events of a conversation."""
        self.wait(lambda: len(self.seqs(conversation)) >= count)

    def count(self, kind: str) -> int:
        """Return how many events of a kind there were so far."""
        return sum(event["type"] == kind for event in self.events)

    def close(self) -> None:
        """End the client; it has to end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            assert self._process.wait(PATIENCE_SECONDS) == 0, "".join(self.errors)
        finally:
            self._process.send_signal(signal.SIGKILL)
            for reader in self._readers:
                reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                told = json.loads(line)
                with self._changed:
                    if "event" in told:
                        self.events.append(told["event"])
                    elif "error" in told:
                        self._asked[told["id"]].set_exception(Refused(told["error"]))
                    else:
                        self._asked[told["id"]].set_result(told["result"])
                    self._changed.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            self.errors.extend(stderr)
