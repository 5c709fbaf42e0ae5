"""The chat page: one file, served with a policy under which nothing but its own and this server's script runs."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from chatq.web.answers import Answer, html_answer
from chatq.web.security import page_headers


class Page:
    """The page at ``/``."""

    def __init__(self, *, with_tokens: bool) -> None:
        """Read the page; it is told whether callers need tokens."""
        document = (resources.files("chatq.web") / "pages" / "chat.html").read_text("utf-8")
        if with_tokens:
            document = document.replace('<html lang="en">', '<html lang="en" data-auth="token">')
        self._answer = html_answer(document, headers=page_headers(policy(document)))

    def show(self) -> Answer:
        """Return the page."""
        return self._answer


def policy(document: str) -> str:
    """Return the Content-Security-Policy that allows what ``document`` contains, and the server's own scripts."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {_hashes('script', document)}",
            f"style-src {_hashes('style', document)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hashes(element: str, document: str) -> str:
    texts = re.findall(rf"<{element}(?: [^>]*)?>(.*?)</{element}>", document, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
