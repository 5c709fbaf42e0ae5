"""The files that a browser loads: the client, which pages of every allowed origin may load, and what the pages need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from flask import request

from chatq.errors import NotFound
from chatq.web.answers import Answer, status_line

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class StaticFiles:
    """What lies in ``static``, read once.

    A browser asks each time whether its copy is still good: pages and server are always of one version.
    """

    def __init__(self) -> None:
        self._files = {path: _File(path, body) for path, body in _read(resources.files("chatq.web") / "static")}

    def show(self, path: str) -> Answer:
        """Return a file, or that it has not changed since it was last asked for.

        Raises:
            NotFound: there is no such file.
        """
        file = self._files.get(path)
        if file is None:
            raise NotFound
        return file.unchanged if request.if_none_match.contains_weak(file.tag) else file.answer


class _File:
    def __init__(self, path: str, body: bytes) -> None:
        self.tag = hashlib.sha256(body).hexdigest()[:32]
        headers = [("ETag", f'"{self.tag}"'), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")]
        kind = [("Content-Type", _KINDS[path.rpartition(".")[2]]), ("Content-Length", str(len(body)))]
        self.answer = Answer(status_line(200), [*kind, *headers], body)
        self.unchanged = Answer(status_line(304), headers, b"")


def _read(directory: Traversable, below: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{below}{entry.name}/")
        else:
            yield below + entry.name, entry.read_bytes()
