"""``/openapi.json``: the HTTP interface as an OpenAPI document, made from the operations and the wire types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from chatq.errors import ChatqError
from chatq.version import version
from chatq.web.examples import add_examples
from chatq.web.explanations import EXPLANATIONS
from chatq.web.interface import OPERATIONS
from chatq.web.operation import JSON, Operation, Parameter, Reply
from chatq.web.problems import ProblemDocument
from chatq.web.requests import USER_HEADER
from chatq.web.schemas import Schema, as_sentence, components, ref, schema_of

PROBLEM_JSON = "application/problem+json"

_ABOUT = """
JSON with camelCase names; times are RFC 3339 in UTC. What is accepted with a 202 is kept: it is done, or fails, or
expires, and its sender can learn which. An error is a problem document (RFC 9457) with a stable `code`, which
[/problems](/problems) explains. The websocket has [a document of its own](/asyncapi.json), and [/docs](/docs) is a page
to read and try both.
""".strip()
_WITH_TOKENS = "Whoever asks shows a token. One with the scope `chatq:service` may ask in the name of another user."
_DEVELOPMENT = "This server runs in development mode: whoever is named is believed."
_HEADERS = {
    "Location": "Where it is told what became of it.",
    "Retry-After": "Seconds after which it is worth to try again.",
    "RateLimit": "How many messages may still be sent (`r`), and in how many seconds it will be all of them (`t`), or, "
    "where it was one too many, one; if there is a limit.",
    "RateLimit-Policy": "How many messages (`q`) may be sent in how many seconds (`w`), if there is a limit.",
    "WWW-Authenticate": "That a bearer token is asked for, and whether there was one.",
}
_HEADERS_OF = {401: ("WWW-Authenticate",), 429: ("Retry-After", "RateLimit", "RateLimit-Policy"), 503: ("Retry-After",)}
"""Of problems, by their status."""


def openapi(*, with_tokens: bool) -> dict[str, Any]:
    """Return the document of a server that asks for tokens, or of one in development mode."""
    asked = [kind for operation in OPERATIONS for kind in operation.body]
    told = [reply.body for operation in OPERATIONS for reply in operation.replies if isinstance(reply.body, type)]
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, with_tokens=with_tokens)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chatq",
            "version": version(),
            "summary": "A message queue for chat: ordered, and exactly once in effect.",
            "description": f"{_ABOUT}\n\n{_WITH_TOKENS if with_tokens else _DEVELOPMENT}",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that this comes from."}],
        "tags": [{"name": topic} for topic in dict.fromkeys(operation.topic for operation in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": add_examples(components(asked, [*told, ProblemDocument])),
            "headers": {name: _header(name, meaning) for name, meaning in _HEADERS.items()},
            "securitySchemes": _security_schemes(with_tokens=with_tokens),
        },
    }


def _security_schemes(*, with_tokens: bool) -> dict[str, Any]:
    user = {"type": "apiKey", "in": "header", "name": USER_HEADER}
    if not with_tokens:
        return {"user": {**user, "description": "Who asks; by default `dev`."}}
    token = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token whose `sub` is the user, and which has an `exp`.",
    }
    return {"token": token, "user": {**user, "description": "In whose name a service asks."}}


def _operation(operation: Operation, *, with_tokens: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"operationId": operation.name, "tags": [operation.topic], "summary": operation.summary}
    if operation.about:
        document["description"] = operation.about
    if operation.needs_caller:
        document["security"] = [{"token": []}, {"token": [], "user": []}] if with_tokens else [{}, {"user": []}]
    if operation.parameters:
        document["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body:
        document["requestBody"] = {
            "required": operation.body_required,
            "content": {JSON: {"schema": _either(operation.body)}},
        }
    document["responses"] = {str(reply.status): _reply(reply) for reply in operation.replies}
    document["responses"] |= _problems(operation.problems)
    return document


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = schema_of(parameter.kind)
    meaning = [parameter.meaning, as_sentence(schema.pop("description", ""))]
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": " ".join(filter(None, meaning)),
        "schema": schema,
        **({"example": parameter.example} if parameter.example else {}),
    }


def _either(kinds: Sequence[type]) -> Schema:
    schemas = [ref(kind) for kind in kinds]
    return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}


def _reply(reply: Reply) -> dict[str, Any]:
    document: dict[str, Any] = {"description": reply.meaning}
    if reply.headers:
        document["headers"] = {name: _header_ref(name) for name in reply.headers}
    if isinstance(reply.body, str):
        document["content"] = {reply.body: {"schema": {"type": "object" if reply.body == JSON else "string"}}}
    elif reply.body is not None:
        document["content"] = {JSON: {"schema": ref(reply.body)}}
    return document


def _problems(kinds: Iterable[type[ChatqError]]) -> dict[str, Any]:
    """Return the answers to requests that meet these errors, by status."""
    documents: dict[str, Any] = {}
    for status in sorted({kind.status for kind in kinds}):
        codes = sorted({kind.code for kind in kinds if kind.status == status})
        schema = {**ref(ProblemDocument), "properties": {"status": {"const": status}, "code": {"enum": codes}}}
        document: dict[str, Any] = {
            "description": "\n\n".join(f"`{code}`: {EXPLANATIONS[code].meaning}" for code in codes),
            "content": {PROBLEM_JSON: {"schema": schema}},
        }
        if status in _HEADERS_OF:
            document["headers"] = {name: _header_ref(name) for name in _HEADERS_OF[status]}
        documents[str(status)] = document
    return documents


def _header(name: str, meaning: str) -> dict[str, Any]:
    kind = {"type": "integer", "minimum": 0} if name == "Retry-After" else {"type": "string"}
    return {"description": meaning, "schema": kind}


def _header_ref(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}
