"""What holds answers and frames against the documents notices what is not in them."""

from __future__ import annotations

import httpx
import pytest

from tests.parts.told import CLIENT, check_answer, check_frame


def answer(status: int, document: object, path: str = "/healthz") -> httpx.Response:
    return httpx.Response(status, json=document, request=httpx.Request("GET", f"http://localhost{path}"))


def test_what_is_told_passes() -> None:
    check_answer(answer(200, {"status": "ok"}))
    check_frame('{"type": "left", "conversationId": "c"}')
    check_frame('{"type": "auth", "userId": "alice"}', CLIENT)
    check_frame('{"type": "auth", "token": "…"}', CLIENT)


@pytest.mark.parametrize(
    "found",
    [
        answer(200, {"status": "ok", "more": 1}),
        answer(200, {}),
        answer(404, {"status": "ok"}),
        answer(200, {"state": "lost", "messageId": "m"}, "/api/messages/m"),
    ],
    ids=["more", "less", "another status", "another value"],
)
def test_another_answer_does_not(found: httpx.Response) -> None:
    with pytest.raises(AssertionError, match="tell"):
        check_answer(found)


@pytest.mark.parametrize(
    "frame",
    ['{"type": "left", "conversationId": "c", "more": 1}', '{"type": "left"}', '{"type": "joint"}'],
    ids=["more", "less", "another type"],
)
def test_another_frame_does_not(frame: str) -> None:
    with pytest.raises(AssertionError, match=r"tells|knows"):
        check_frame(frame)
