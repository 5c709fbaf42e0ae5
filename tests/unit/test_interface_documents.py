"""The interface's own documents are well-formed, complete, and their examples true to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from chatq.cli.compose import build
from chatq.errors import ChatqError
from chatq.realtime.client_frames import DEVELOPMENT_LANGUAGE, LANGUAGE
from chatq.realtime.framing import CloseCode
from chatq.settings import load
from chatq.web.app import create_app
from chatq.web.asyncapi import CLOSE_CODES, asyncapi
from chatq.web.explanations import EXPLANATIONS
from chatq.web.openapi import openapi

MODES = pytest.mark.parametrize("with_tokens", [False, True], ids=["development", "with-tokens"])


def socket_document(*, with_tokens: bool) -> dict[str, Any]:
    return asyncapi("localhost:8000", secure=False, with_tokens=with_tokens)


@MODES
def test_the_document_of_http_is_one_of_openapi(with_tokens: bool) -> None:
    assert list(OpenAPIV31SpecValidator(openapi(with_tokens=with_tokens)).iter_errors()) == []


@MODES
def test_every_reference_leads_somewhere(with_tokens: bool) -> None:
    for document in (openapi(with_tokens=with_tokens), socket_document(with_tokens=with_tokens)):
        for target in references(document):
            found: Any = document
            for name in target.removeprefix("#/").split("/"):
                found = found[name]


def references(part: object) -> set[str]:
    if isinstance(part, dict):
        here = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return here.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


@MODES
@pytest.mark.parametrize("make", [openapi, socket_document])
def test_every_example_is_true_to_its_schema(make: Any, with_tokens: bool) -> None:
    document = make(with_tokens=with_tokens)

    for name, schema in document["components"]["schemas"].items():
        validator = jsonschema_rs.validator_for(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )
        assert [error.message for example in schema["examples"] for error in validator.iter_errors(example)] == []


def test_generators_of_clients_require_nothing_that_may_be_left_out() -> None:
    # openapi-typescript requires a field that has a default, and takes an object without fields for an empty one
    for name, schema in openapi(with_tokens=True)["components"]["schemas"].items():
        for field, kind in schema["properties"].items():
            assert "default" not in kind, f"{name}.{field}"
            assert "object" not in kind.get("type", ()) or kind["additionalProperties"] is True, f"{name}.{field}"


def test_every_route_is_in_the_document(tmp_path: Path) -> None:
    settings = load({}, {"DATABASE_URL": f"sqlite:///{tmp_path}/none", "REDIS_URL": "unix:///nowhere"})
    app = create_app(build(settings))
    routes = {
        (method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    told = {
        (method.upper(), operation["operationId"])
        for path in openapi(with_tokens=False)["paths"].values()
        for method, operation in path.items()
    }

    # The websocket has a document of its own, and beside the client there are files for the pages.
    assert routes - told == {("GET", "serve"), ("GET", "static")}
    assert told <= routes


def test_the_document_of_the_websocket_says_where_it_is(tmp_path: Path) -> None:
    # Given a server that a proxy with TLS stands in front of
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/none",
        "REDIS_URL": "unix:///nowhere",
        "CHATQ_ALLOWED_ORIGINS": "https://chat.example.com",
    }
    client = create_app(build(load({}, environment))).test_client()

    # When it is asked through the proxy, or past it, then each is told what it can use
    for host, protocol in (("chat.example.com", "wss"), ("localhost:8000", "ws")):
        told = client.get("/asyncapi.json", headers={"Host": host}).json
        assert told is not None
        assert told["servers"] == {"here": {"host": host, "protocol": protocol}}


def test_every_frame_that_is_understood_is_in_the_document() -> None:
    for with_tokens, language in ((False, DEVELOPMENT_LANGUAGE), (True, LANGUAGE)):
        messages = socket_document(with_tokens=with_tokens)["components"]["messages"]
        assert {key for key in messages if key.startswith("client.")} == {f"client.{name}" for name in language._kinds}


def test_every_close_code_of_ours_is_explained() -> None:
    assert set(CLOSE_CODES) == {code for code in CloseCode if code >= 4000}


def test_every_code_of_an_error_is_explained() -> None:
    own = [kind for kind in tree(ChatqError) if kind.__module__ == "chatq.errors"]

    assert {kind.code for kind in own} == set(EXPLANATIONS)
    for code, explanation in EXPLANATIONS.items():
        assert {kind.status for kind in own if kind.code == code} == {explanation.example.status}


def tree(kind: type[ChatqError]) -> list[type[ChatqError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]
