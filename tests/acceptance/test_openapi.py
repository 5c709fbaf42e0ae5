"""The server does as ``/openapi.json`` tells, whatever it is asked: schemathesis makes up the requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatq.access.tokens import sign
from chatq.web.interface import OPERATIONS
from chatq.web.openapi import openapi
from chatq.web.operation import Operation
from chatq.web.requests import KEY_HEADER
from tests.parts.people import SECRET
from tests.parts.roles import Roles, beside, fresh, installed

EXAMPLES = settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]

BATCH = "sendMessages"
"""Each of its messages is refused by itself."""


@cache
def document(*, with_tokens: bool) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_dict(openapi(with_tokens=with_tokens))


@pytest.fixture(scope="module")
def roles() -> Iterator[Roles]:
    """An API that believes everybody."""
    with installed() as roles:
        roles.start_api()
        yield roles


@pytest.fixture(scope="module")
def guarded(roles: Roles) -> Iterator[Roles]:
    """An API that asks for tokens."""
    with beside(roles, env={"CHATQ_JWT_SECRET": SECRET, "CHATQ_RATE_LIMIT": "1000/s"}) as guarded:
        yield guarded


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_in_development_mode(roles: Roles, operation: Operation, mode: GenerationMode) -> None:
    # What is right is not refused for its form, and what is wrong is.
    acceptance = positive_data_acceptance if mode is GenerationMode.POSITIVE else negative_data_rejection
    checks = [*CHECKS] if operation.name == BATCH and mode is GenerationMode.NEGATIVE else [*CHECKS, acceptance]
    ask(roles, operation, mode, checks, with_tokens=False)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_with_tokens(guarded: Roles, operation: Operation) -> None:
    token = sign(SECRET, "alice", expires_at=time.time() + 600)
    authorization = {"Authorization": f"Bearer {token}"}
    ask(guarded, operation, GenerationMode.POSITIVE, CHECKS, with_tokens=True, headers=authorization)


def ask(
    roles: Roles,
    operation: Operation,
    mode: GenerationMode,
    checks: list[schemathesis.CheckFunction],
    *,
    with_tokens: bool,
    headers: dict[str, str] | None = None,
) -> None:
    told = document(with_tokens=with_tokens)[operation.path][operation.method]
    if mode is GenerationMode.NEGATIVE and not (operation.parameters or operation.body):
        return  # there is nothing to get wrong

    @EXAMPLES
    @given(case=told.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and operation.name == "sendMessage":
            # What no schema can say: under an id that was used before, other content is refused, ...
            case.body["conversationId"] = fresh()
            if KEY_HEADER in case.headers:
                # ... and the two ids must not differ.
                case.body["messageData"].pop("clientMessageId", None)
        case.call_and_validate(base_url=roles.url, headers=headers, checks=checks)

    asked()
