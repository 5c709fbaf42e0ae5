"""gunicorn's responses, each in one write."""

from __future__ import annotations

from typing import Any

from gunicorn.http import wsgi


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn ships no types
    """Sends the head of a response together with the first of its body.

    gunicorn sends them one after the other: a system call more for each response, and often a packet.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._begun = False

    def send_headers(self) -> None:
        """Keep the head until there is something to send with it, or the response ends."""
        if not self._begun:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self._head = "".join(lines).encode("latin-1")
            self._begun = self.headers_sent = True

    def close(self) -> None:
        """End the response."""
        super().close()
        self._send_head()

    def _emit_body(self, data: bytes) -> None:
        if self._head and not self.chunked:
            head, self._head = self._head, b""
            self.sock.sendall(head + data)
        else:
            self._send_head()
            super()._emit_body(data)

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.sock.sendall(head)


def write_at_once() -> None:
    """Let gunicorn, which offers no setting for it, use this class in this process."""
    wsgi.Response = Response
