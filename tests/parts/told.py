"""What the interface's own documents tell of it, held against what really goes over the wire.

Clients are told that answers may have more fields in a later version. This version has none that it does not name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from chatq.web.asyncapi import asyncapi
from chatq.web.openapi import openapi

SERVER, CLIENT = "server", "client"


def check_frame(message: str | bytes, side: str = SERVER) -> None:
    """Check a websocket's message that the server sent, or that a client did which knows the rules."""
    frame = json.loads(message)
    key = f"{side}.{frame['type']}"
    validators = _frames().get(key)
    assert validators, f"/asyncapi.json knows no frame like {frame}"
    if not any(validator.is_valid(frame) for validator in validators):
        _fail("/asyncapi.json", key, frame, validators[0])


def check_answer(response: httpx.Response) -> None:
    """Check an answer to a request that has been documented; to one that never arrived as such, there is none."""
    request = response.request
    operations = next((found for path, found in _paths().items() if path.fullmatch(request.url.path)), None)
    if operations is None or request.method in {"HEAD", "OPTIONS"}:
        return
    operation = operations.get(request.method)
    name = f"{request.method} {request.url.path}: {response.status_code}"
    if operation is None:
        assert response.status_code == 405, name
        return
    told = operation.get(str(response.status_code))
    assert told is not None, f"/openapi.json does not tell of {name} {response.read()[:500]!r}"
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    assert kind in told or (not told and not response.read()), f"{name}: /openapi.json does not tell of {kind!r}"
    if kind.endswith("json"):
        document = json.loads(response.read())
        if not told[kind].is_valid(document):
            _fail("/openapi.json", name, document, told[kind])


def _fail(source: str, name: str, found: object, validator: jsonschema_rs.Validator) -> None:
    reasons = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(found)]
    raise AssertionError(f"{name} is not as {source} tells: {reasons[:5]}; it is {str(found)[:1000]}")


@cache
def _frames() -> dict[str, list[jsonschema_rs.Validator]]:
    """Return what checks frames, by side and type; a frame to say who one is depends on the server's mode."""
    validators: dict[str, list[jsonschema_rs.Validator]] = {}
    for with_tokens in (False, True):
        document = asyncapi("localhost", secure=False, with_tokens=with_tokens)
        for key, message in document["components"]["messages"].items():
            if with_tokens is False or key == "client.auth":
                validators.setdefault(key, []).append(_validator(message["payload"], document))
    return validators


@cache
def _paths() -> dict[re.Pattern[str], dict[str, Any]]:
    document = openapi(with_tokens=True)
    found = {}
    # Those without parameters first: /api/messages/batch is none of /api/messages/{messageId}.
    for path, operations in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
        pattern = re.compile(re.sub(r"{\w+}", "[^/]+", path))
        found[pattern] = {
            method.upper(): {status: _contents(reply, document) for status, reply in operation["responses"].items()}
            for method, operation in operations.items()
        }
    return found


def _contents(reply: Mapping[str, Any], document: dict[str, Any]) -> dict[str, jsonschema_rs.Validator]:
    return {kind: _validator(told["schema"], document) for kind, told in reply.get("content", {}).items()}


def _validator(schema: dict[str, Any], document: dict[str, Any]) -> jsonschema_rs.Validator:
    schemas = document["components"]["schemas"]
    strict = {name: {"additionalProperties": False, **found} for name, found in schemas.items()}
    return jsonschema_rs.validator_for({**schema, "components": {"schemas": strict}}, validate_formats=True)
