"""The pages that have scripts: markup alone; their style and their scripts are files below ``/static``."""

from __future__ import annotations

from importlib import resources

from chatq.web.answers import Answer, html_answer
from chatq.web.security import page_headers

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # No script of the page makes markup out of text, and so none may.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The Content-Security-Policy: nothing but this server's own files, and nobody else's page around it."""


class Page:
    """A file in ``pages``, with what lies in the folder of ``static`` that has its name."""

    def __init__(self, name: str, *, with_tokens: bool) -> None:
        """Read the page; it is told whether callers need tokens."""
        files = resources.files("chatq.web")
        document = (files / "pages" / f"{name}.html").read_text("utf-8")
        # All at once: a browser that learns of a module by the one that imports it asks for one after the other.
        modules = sorted(file.name for file in (files / "static" / name).iterdir() if file.name.endswith(".js"))
        links = [f'<link rel="modulepreload" href="/static/{name}/{module}">\n' for module in modules]
        document = document.replace("</head>", f"{''.join(links)}</head>")
        if with_tokens:
            document = document.replace('<html lang="en">', '<html lang="en" data-auth="token">')
        self._answer = html_answer(document, headers=page_headers(POLICY))

    def show(self) -> Answer:
        """Return the page."""
        return self._answer
