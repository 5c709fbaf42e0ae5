"""The addresses at which the interface describes itself."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from flask import request

from chatq.web.answers import Answer, json_answer
from chatq.web.asyncapi import asyncapi
from chatq.web.openapi import openapi


class Documents:
    """``/openapi.json`` and ``/asyncapi.json``, made when they are first asked for."""

    def __init__(self, *, with_tokens: bool, origins: Collection[str]) -> None:
        """Take whether callers need tokens, and which pages may ask: a proxy's own, which may speak TLS, among them."""
        self._with_tokens = with_tokens
        self._origins = origins

    def http(self) -> Answer:
        """Return the description of the HTTP interface."""
        return self._http

    def socket(self) -> Answer:
        """Return the description of the websocket."""
        secure = request.is_secure or f"https://{request.host}" in self._origins
        return json_answer(asyncapi(request.host, secure=secure, with_tokens=self._with_tokens))

    @cached_property
    def _http(self) -> Answer:
        return json_answer(openapi(with_tokens=self._with_tokens))
