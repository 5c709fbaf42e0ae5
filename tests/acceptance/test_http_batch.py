"""Many messages in one request, through the front door, on SQLite and Postgres."""

from __future__ import annotations

import json
import select
import socket
from typing import Any

import httpx

from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import until


def send(roles: Roles, messages: list[Any], **headers: str) -> httpx.Response:
    return roles.http.post("/api/messages/batch", json={"messages": messages}, headers=headers)


def message(conversation: str, content: object, **data: object) -> dict[str, object]:
    return {"conversationId": conversation, "messageData": {"content": content, **data}}


def test_a_batch_is_stored_in_its_order(roles: Roles) -> None:
    conversation = fresh()

    answer = send(roles, [message(conversation, f"{i}", senderId="ann") for i in range(1000)])

    assert answer.status_code == 202
    results = answer.json()["results"]
    assert len(results) == 1000
    assert {tuple(sorted(result)) for result in results} == {("jobId", "message", "messageId", "status", "statusUrl")}
    until(lambda: roles.state(results[-1]["messageId"]) == "persisted")
    page = roles.http.get(f"/api/conversations/{conversation}/messages", params={"limit": 200}).json()
    assert [m["content"] for m in page["messages"]] == [f"{i}" for i in range(800, 1000)]
    assert page["seq"] == 1000


def test_one_bad_message_does_not_stop_the_rest(roles: Roles) -> None:
    conversation = fresh()

    results = send(
        roles,
        [
            message(conversation, "first"),
            message(conversation, " "),
            "no message",
            message(conversation, "x" * 20000),
            message(conversation, "last", senderId="ann", clientMessageId="1"),
            message(conversation, "last", senderId="ann", clientMessageId="1"),
            message(conversation, "other", senderId="ann", clientMessageId="1"),
        ],
    ).json()["results"]

    codes = [result.get("code", "accepted") for result in results]
    assert codes == [
        "accepted",
        "invalid-fields",
        "invalid-fields",
        "too-large",
        "accepted",
        "accepted",
        "idempotency-mismatch",
    ]
    assert results[1]["errors"] == [{"field": "messageData.content", "problem": "is blank"}]
    assert [result["status"] for result in results if "code" in result] == [422, 422, 413, 422]
    assert results[4]["messageId"] == results[5]["messageId"]
    until(lambda: roles.state(results[4]["messageId"]) == "persisted")
    page = roles.http.get(f"/api/conversations/{conversation}/messages").json()
    assert [m["content"] for m in page["messages"]] == ["first", "last"]


def test_what_is_no_batch_is_refused_whole(roles: Roles) -> None:
    too_many = [message("c", "x")] * 1001
    documents: list[Any] = [
        {},
        {"messages": []},
        {"messages": {}},
        {"messages": too_many},
        {"messages": [], "x": 1},
        [],
    ]
    for document in documents:
        answer = roles.http.post("/api/messages/batch", json=document)
        assert answer.status_code == 422, document
        assert answer.json()["code"] == "invalid-fields"
    assert roles.http.post("/api/messages/batch", content=b"{").status_code == 400
    assert send(roles, [message("c", "x")], **{"Idempotency-Key": "k"}).status_code == 422


def test_a_batch_without_redis_is_refused(idle_roles: Roles, valkey: Valkey) -> None:
    idle_roles.start_api()
    valkey.kill()

    answer = send(idle_roles, [message(fresh(), "x")])

    assert answer.status_code == 503
    assert answer.json()["error"] == "Failed to queue message"


def test_refusals_without_end_leave_others_their_turn(roles: Roles) -> None:
    # Given a batch of which every message is refused
    body = json.dumps({"messages": [message("c", " ")] * 1000}).encode()
    head = f"POST /api/messages/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    # When it is under way, then others are answered meanwhile, not only while it is read. On a machine that has much
    # else to do the others may come late; of some attempts one is enough.
    assert any(answered_during(roles, head.encode() + body) > 15 for _ in range(20))


def answered_during(roles: Roles, request: bytes) -> int:
    """Return how many requests are answered while another one is."""
    answered = 0
    with socket.create_connection(("127.0.0.1", roles.port)) as hostile:
        hostile.sendall(request)
        while not select.select([hostile], [], [], 0)[0]:
            assert roles.http.get("/healthz").status_code == 200
            answered += 1
        assert hostile.recv(12) == b"HTTP/1.1 202"
    return answered
