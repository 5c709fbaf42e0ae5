"""Headers of pages, and who may ask: which host names are served, and requests of which web pages."""

from __future__ import annotations

from urllib.parse import urlsplit

from chatq.errors import OriginRefused
from chatq.settings import Settings
from chatq.settings.loopback import is_loopback
from chatq.web.answers import Answer, Header, status_line
from chatq.web.requests import SAFE_METHODS, Environ


def page_headers(policy: str) -> list[Header]:
    """Return the headers of a page with this Content-Security-Policy."""
    return [
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cache-Control", "no-cache"),
    ]


class Gate:
    """Keeps foreign web pages out.

    A browser sends with each request that may change something, and with each websocket, the origin of the
    page that made it. What is not a browser sends none, and passes. A server that listens on loopback only
    is served under loopback names only: otherwise a foreign page could have its own name resolve to
    127.0.0.1, and be of the same origin.
    """

    def __init__(self, settings: Settings) -> None:
        self._origins = frozenset(settings.allowed_origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in settings.allowed_origins)
        self._loopback = is_loopback(settings.host)

    def admit(self, environ: Environ) -> list[Header]:
        """Return the headers that let the page that asks read the answer; none for its own origin.

        Raises:
            OriginRefused: the host name is not served, or a foreign page wants to change something.
        """
        host = environ.get("HTTP_HOST")
        if self._loopback and host is not None and not is_loopback(_without_port(host)) and host not in self._hosts:
            raise OriginRefused(
                f"This server listens on loopback and is not known as {host[:200]!r}. Behind a proxy, name its "
                "origin in CHATQ_ALLOWED_ORIGINS."
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return []
        if origin in self._origins:
            return [
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Expose-Headers", "Location, Retry-After, RateLimit, RateLimit-Policy"),
                ("Vary", "Origin"),
            ]
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            self.check_origin(environ)
        return []

    def check_origin(self, environ: Environ) -> None:
        """Check that the request comes from a page of this server's origin, of an allowed one, or from none.

        Raises:
            OriginRefused: it comes from another.
        """
        origin = environ.get("HTTP_ORIGIN")
        if origin is None or origin in self._origins:
            return
        if origin != f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}":
            raise OriginRefused(
                f"Pages of {origin[:200]!r} may not use this server; CHATQ_ALLOWED_ORIGINS lists those that may."
            )


def preflight(environ: Environ) -> Answer | None:
    """Return the answer to a browser that asks beforehand whether a page may send a request; None for others."""
    if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
        return None
    headers = [
        ("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-Chatq-User"),
        ("Access-Control-Max-Age", "600"),
    ]
    return Answer(status_line(204), headers, b"")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
