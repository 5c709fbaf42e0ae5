"""The browser client: one module, which pages of every allowed origin may load."""

from __future__ import annotations

import hashlib
from importlib import resources

from flask import request

from chatq.web.answers import Answer, status_line


class Script:
    """The module at ``/static/chatq.js``.

    A browser asks each time whether its copy is still good: client and server are always of one version.
    """

    def __init__(self) -> None:
        body = (resources.files("chatq.web") / "static" / "chatq.js").read_bytes()
        self._tag = hashlib.sha256(body).hexdigest()[:32]
        headers = [("ETag", f'"{self._tag}"'), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")]
        kind = [("Content-Type", "text/javascript; charset=utf-8"), ("Content-Length", str(len(body)))]
        self._answer = Answer(status_line(200), [*kind, *headers], body)
        self._unchanged = Answer(status_line(304), headers, b"")

    def show(self) -> Answer:
        """Return the module, or that it has not changed since it was last asked for."""
        return self._unchanged if request.if_none_match.contains_weak(self._tag) else self._answer
