"""Errors as ``application/problem+json`` (RFC 9457), and the page that explains each code."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import structlog
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing.exceptions import WebsocketMismatch

from chatq import errors
from chatq.errors import ChatqError, DatabaseError, InvalidFields, NotReady, Overloaded, RateLimited, RedisError
from chatq.web.answers import Answer, Header, html_answer, json_answer
from chatq.web.quota import refusal_headers
from chatq.web.security import page_headers

RETRY_AFTER_SECONDS = 1
"""When a server that cannot work at present should be asked again."""

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

log = structlog.get_logger("chatq.web")


def problem(error: Exception, method: str) -> Answer:
    """Return the answer that tells the client of ``error``, which a request with ``method`` met.

    What was not foreseen is logged with its traceback; the client learns no more than that it happened.
    """
    headers: list[Header] = []
    if isinstance(error, HTTPException):
        headers = [(name, value) for name, value in error.get_headers() if name == "Allow"]
        error = _of_werkzeug(error)
    if not isinstance(error, ChatqError):
        log.error("unforeseen error", exc_info=error)
        error = ChatqError("Something went wrong on the server; its log says what.")
    if isinstance(error, errors.NotAuthenticated):
        refused = ', error="invalid_token"' if isinstance(error, errors.TokenRefused) else ""
        headers.append(("WWW-Authenticate", f'Bearer realm="chatq"{refused}'))
    if isinstance(error, errors.UpgradeRequired):
        headers.append(("Upgrade", "websocket"))
    if isinstance(error, Overloaded):
        headers.append(("Retry-After", str(error.retry_after)))
    elif isinstance(error, RateLimited):
        headers += refusal_headers(error)
    elif isinstance(error, RedisError | DatabaseError | NotReady):
        headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    document = describe(error, method)
    return json_answer(document, error.status, kind="application/problem+json", headers=headers)


def describe(error: ChatqError, method: str) -> dict[str, object]:
    """Return the problem document of ``error``, which a request with ``method`` met."""
    kind = type(error)
    document: dict[str, object] = {
        "type": f"/problems/{kind.code}",
        "title": title(kind.code),
        "status": kind.status,
        "detail": error.detail,
        "code": kind.code,
        "error": _in_words(kind, method),
    }
    if isinstance(error, InvalidFields):
        document["errors"] = [{"field": p.field, "problem": p.problem} for p in error.problems]
    if isinstance(error, RateLimited):
        document["retryAfter"] = error.retry_after
    return document


def title(code: str) -> str:
    """Return a code in words."""
    return code.replace("-", " ").capitalize().replace("json", "JSON")


def codes() -> dict[str, type[ChatqError]]:
    """Return every code that a client can meet, with the most general error that bears it."""
    found: dict[str, type[ChatqError]] = {}
    for kind in _tree(ChatqError):
        found.setdefault(kind.code, kind)
    return dict(sorted(found.items()))


def page(code: str) -> Answer:
    """Return the page that explains ``code``.

    Raises:
        NotFound: there is no such code.
    """
    kinds = codes()
    if code not in kinds:
        raise errors.NotFound(f"There is no problem with the code {code[:100]!r}.")
    kind = kinds[code]
    others = [f'<li><a href="/problems/{other}">{other}</a>' for other in kinds if other != code]
    return html_answer(
        _PAGE.format(
            title=escape(title(code)),
            code=code,
            status=kind.status,
            meaning="".join(f"<p>{escape(meaning)}" for meaning in _meanings(code)),
            others="".join(others),
        ),
        headers=page_headers(_PAGE_POLICY),
    )


def _of_werkzeug(error: HTTPException) -> ChatqError | HTTPException:
    if isinstance(error, MethodNotAllowed):
        return errors.MethodNotAllowed(f"Allowed here: {', '.join(sorted(error.valid_methods or ()))}.")
    if isinstance(error, WebsocketMismatch):
        return errors.UpgradeRequired()
    if isinstance(error, NotFound):
        return errors.NotFound("There is nothing at this address.")
    if error.code is not None and error.code < 500:
        return errors.RequestRefused(error.description)
    return error


def _in_words(kind: type[ChatqError], method: str) -> str:
    if issubclass(kind, RedisError) and method not in _SAFE_METHODS:
        return "Failed to queue message"
    return (kind.__doc__ or "").strip().removesuffix(".")


def _tree(kind: type[ChatqError]) -> Iterator[type[ChatqError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _meanings(code: str) -> list[str]:
    return [(kind.__doc__ or "").strip() for kind in _tree(ChatqError) if kind.code == code and kind.__doc__]


_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title} · chatq</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
ul {{ columns: 14rem; padding-left: 1.2rem }}
</style>
<h1>{title}</h1>
<p>Code <code>{code}</code>, HTTP status {status}.</p>
{meaning}
<p>The answer's <code>detail</code> says what it was in this case.</p>
<h2>Other codes</h2>
<ul>{others}</ul>
</html>
"""
