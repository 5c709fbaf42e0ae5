"""The HTTP API, through its front door, on SQLite and Postgres."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing
from http.client import HTTPResponse
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from rq.job import JobStatus

from chatq.domain.ids import conversation_bits, new_id
from chatq.web.explanations import EXPLANATIONS
from tests.acceptance.conftest import ONE_DATABASE
from tests.parts.command import Chatq
from tests.parts.postgres import Postgres
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until

NOWHERE = "01890a5d-ac96-7b4c-8000-000000000000"


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Check what every problem document promises, and return it."""
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["error"]
    return problem


def fields_of(answer: httpx.Response) -> list[str]:
    """Return the names of the fields that a 422 complains of."""
    assert answer.status_code == 422, answer.text
    problem = problem_of(answer)
    assert problem["code"] == "invalid-fields"
    assert all(error["problem"] for error in problem["errors"])
    return [error["field"] for error in problem["errors"]]


# --- accepting -----------------------------------------------------------------------------------


def test_accepted_message_is_stored(roles: Roles) -> None:
    conversation = fresh()

    answer = roles.post(conversation, "Hello", metadata={"mood": ["good", 1, None]})

    assert answer.status_code == 202
    document = answer.json()
    assert document["status"] == "Message queued"
    assert document["message"] == "Your message is being processed"
    assert set(document) == {"status", "message", "messageId", "jobId", "statusUrl"}
    assert answer.headers["location"] == document["statusUrl"] == f"/api/messages/{document['messageId']}"
    until(lambda: roles.state(document["messageId"]) == "persisted")
    message = roles.http.get(document["statusUrl"]).json()["message"]
    assert message == {
        "id": document["messageId"],
        "conversationId": conversation,
        "seq": 1,
        "senderId": "alice",
        "clientMessageId": None,
        "content": "Hello",
        "metadata": {"mood": ["good", 1, None]},
        "status": "sent",
        "createdAt": message["createdAt"],
        "persistedAt": message["persistedAt"],
        "editedAt": None,
        "deletedAt": None,
    }
    assert message["createdAt"] <= message["persistedAt"]


def test_message_waits_as_queued_until_a_worker_comes(idle_roles: Roles) -> None:
    idle_roles.start_api()
    message_id = idle_roles.send("c", "first")
    assert idle_roles.http.get(f"/api/messages/{message_id}").json() == {"messageId": message_id, "state": "queued"}
    assert idle_roles.page("c") == {"messages": [], "nextBefore": None, "nextAfter": None, "seq": 0}

    idle_roles.start_worker()

    until(lambda: idle_roles.state(message_id) == "persisted")


def test_message_whose_job_waits_counts_as_queued_whatever_rq_calls_that(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    message_id = sqlite_roles.send("c", "first")
    states = {}
    with closing(valkey.client()) as client:
        for state in JobStatus:
            client.hset(f"rq:job:{message_id}", "status", state.value)
            states[state.value] = sqlite_roles.state(message_id)
    over = {"finished", "failed", "stopped", "canceled"}
    assert states == {state.value: "failed" if state.value in over else "queued" for state in JobStatus}


def test_accepting_does_without_the_database(
    chatq: Chatq, valkey: Valkey, postgres: Postgres, postgres_url: str
) -> None:
    roles = Roles(chatq, valkey.url, postgres_url)
    roles.start_api()
    postgres.drop_database(postgres_url.rpartition("/")[2])

    assert roles.post("c", "hello").status_code == 202

    answer = roles.http.get("/api/conversations/c/messages")
    assert answer.status_code == 503
    assert problem_of(answer)["code"] == "database-unavailable"
    assert int(answer.headers["retry-after"]) > 0
    roles.close()


def test_unusual_but_allowed_content_survives(roles: Roles) -> None:
    for content in (
        "\u2028 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u0000".strip("\0"),
        " leading and trailing ",
        "a" * 16384,
    ):
        assert roles.store(fresh(), content)["content"] == content


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json", None]
)
def test_json_is_taken_under_each_of_its_names(roles: Roles, kind: str | None) -> None:
    body = json.dumps({"conversationId": fresh(), "messageData": {"content": "x"}}).encode()
    headers = {"Content-Type": kind} if kind else {}
    assert roles.http.post("/api/messages", content=body, headers=headers).status_code == 202


def test_chunked_body_is_taken(roles: Roles) -> None:
    body = json.dumps({"conversationId": fresh(), "messageData": {"content": "x"}}).encode()
    answer = roles.http.post("/api/messages", content=iter([body[:10], body[10:]]))
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 202


# --- who sends -----------------------------------------------------------------------------------


def test_sender_is_the_header_else_the_body_else_dev(roles: Roles) -> None:
    conversation = fresh()

    def send(header: str | None, **data: str) -> int:
        body = {"conversationId": conversation, "messageData": {"content": "x", **data}}
        headers = {"X-Chatq-User": header} if header else {}
        return roles.http.post("/api/messages", json=body, headers=headers).status_code

    assert send("ann") == send(None, senderId="bob") == send(None) == send("cleo", senderId="cleo") == 202
    assert send("ann", senderId="bob") == 403
    until(lambda: roles.page(conversation)["seq"] == 4)
    assert [message["senderId"] for message in roles.page(conversation)["messages"]] == ["ann", "bob", "dev", "cleo"]


def test_sender_that_is_no_id_is_named(roles: Roles) -> None:
    body = {"conversationId": "c", "messageData": {"content": "x"}}
    answer = roles.http.post("/api/messages", json=body, headers={"X-Chatq-User": "a b"})
    assert fields_of(answer) == ["X-Chatq-User"]


# --- the same again ------------------------------------------------------------------------------


def test_repeat_gets_the_same_ids_and_has_no_second_effect(roles: Roles) -> None:
    conversation = fresh()
    body = {"conversationId": conversation, "messageData": {"senderId": "alice", "content": "once"}}
    answers = [
        roles.post(conversation, "once", clientMessageId="m-1"),
        roles.http.post("/api/messages", json=body, headers={"Idempotency-Key": "m-1"}),
        roles.http.post("/api/messages", json=body, headers={"Idempotency-Key": '"m-1"'}),
    ]
    first = answers[0].json()
    assert all(answer.status_code == 202 and answer.json() == first for answer in answers)
    assert first["messageId"][14] == "8"
    assert int(first["messageId"][15:18], 16) == conversation_bits(conversation)
    until(lambda: roles.state(first["messageId"]) == "persisted")
    assert roles.post(conversation, "once", clientMessageId="m-1").json() == first
    last = roles.store(conversation, "last")
    assert last["seq"] == 2


def test_other_content_under_the_same_id_is_refused(roles: Roles) -> None:
    conversation = fresh()
    roles.send(conversation, "this", clientMessageId="m-1")
    answer = roles.post(conversation, "that", clientMessageId="m-1")
    assert answer.status_code == 422
    assert problem_of(answer)["code"] == "idempotency-mismatch"


def test_two_ids_that_differ_are_refused(roles: Roles) -> None:
    body = {"conversationId": "c", "messageData": {"content": "x", "clientMessageId": "a"}}
    answer = roles.http.post("/api/messages", json=body, headers={"Idempotency-Key": "b"})
    assert fields_of(answer) == ["Idempotency-Key"]


# --- bad input -----------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"conversationId": "c", "messageData": {"content": "x"}} x',
        b'{"conversationId": "c", "messageData": {"content": "\xff"}}',
        b'{"conversationId": "c", "messageData": {"content": "half \\ud800"}}',
        b"[" * 5000,
        b'{"conversationId": "c", "messageData": {"content": "x", "metadata": {"a":'
        + b"[" * 3000
        + b"]" * 3000
        + b"}}}",
    ],
    ids=["empty", "cut off", "no json", "trailing", "not utf-8", "lone surrogate", "deep", "deep metadata"],
)
def test_malformed_json_is_400(roles: Roles, body: bytes) -> None:
    answer = roles.http.post("/api/messages", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert problem_of(answer)["code"] == "malformed-json"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({}, ["conversationId", "messageData"]),
        ([], [""]),
        ("text", [""]),
        (None, [""]),
        ({"conversationId": 1, "messageData": "x"}, ["conversationId", "messageData"]),
        ({"conversationId": "", "messageData": {"content": "x"}}, ["conversationId"]),
        ({"conversationId": "a b", "messageData": {"content": "x"}}, ["conversationId"]),
        ({"conversationId": "a\n", "messageData": {"content": "x"}}, ["conversationId"]),
        ({"conversationId": "a" * 129, "messageData": {"content": "x"}}, ["conversationId"]),
        ({"conversationId": "c", "messageData": {}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": ""}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": " \t\n\u00a0\u2003"}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": "a\0b"}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": ["x"]}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": None}}, ["messageData.content"]),
        ({"conversationId": "c", "messageData": {"content": "x", "senderId": "ä"}}, ["messageData.senderId"]),
        (
            {"conversationId": "c", "messageData": {"content": "x", "clientMessageId": "/"}},
            ["messageData.clientMessageId"],
        ),
        ({"conversationId": "c", "messageData": {"content": "x", "metadata": [1]}}, ["messageData.metadata"]),
        (
            {"conversationId": "c", "messageData": {"content": "x", "createdAt": "2020-01-01T00:00:00Z"}},
            ["messageData.createdAt"],
        ),
        ({"conversationId": "c", "messageData": {"content": "x"}, "joins": True}, ["joins"]),
        ({"conversationId": "c", "messageData": {"content": "x"}, "expiresAt": "soon"}, ["expiresAt"]),
        (
            {"conversationId": "c", "messageData": {"content": "x", "sender": "al"}, "more": 1},
            ["messageData.sender", "more"],
        ),
    ],
)
def test_invalid_fields_are_each_named(roles: Roles, document: object, fields: list[str]) -> None:
    answer = roles.http.post("/api/messages", content=json.dumps(document))
    assert sorted(fields_of(answer)) == sorted(fields)


@ONE_DATABASE
@pytest.mark.parametrize(
    "data",
    [{"content": "a" * 16385}, {"content": "ä" * 8193}, {"content": "x", "metadata": {"a": "b" * 16384}}],
    ids=["bytes", "bytes of wide characters", "metadata"],
)
def test_oversized_message_is_413(roles: Roles, data: dict[str, Any]) -> None:
    answer = roles.http.post("/api/messages", json={"conversationId": "c", "messageData": data})
    assert answer.status_code == 413
    assert problem_of(answer)["code"] == "too-large"


@ONE_DATABASE
def test_request_that_is_said_to_be_huge_is_refused_unread(roles: Roles) -> None:
    with socket.create_connection(("127.0.0.1", roles.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@ONE_DATABASE
@pytest.mark.parametrize("body", [b"ZZ\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3;\x01\r\n"])
def test_chunks_that_are_none_are_400(roles: Roles, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", roles.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(
            b"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@ONE_DATABASE
@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"what is this\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/9\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: cuneiform\r\n\r\n", 400, "bad-request"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 10_000 + b"\r\n\r\n", 413, "too-large"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 413, "too-large"),
    ],
    ids=["no request line", "version", "header", "transfer coding", "long header", "long address"],
)
def test_request_that_cannot_be_read_is_told_why(roles: Roles, head: bytes, status: int, code: str) -> None:
    with closing(socket.create_connection(("127.0.0.1", roles.port), PATIENCE_SECONDS)) as connection:
        connection.sendall(head)
        answer = HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]


@ONE_DATABASE
def test_endless_request_is_refused(roles: Roles) -> None:
    answer = roles.http.post("/api/messages", content=(b"x" * 65536 for _ in range(100)))
    assert answer.status_code == 413


@ONE_DATABASE
def test_body_of_another_kind_is_415(roles: Roles) -> None:
    answer = roles.http.post(
        "/api/messages", content=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 415
    assert problem_of(answer)["code"] == "unsupported-media-type"


@ONE_DATABASE
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("message_id", ["1", "x" * 200, NOWHERE.upper(), "%00", "%ff", "a%20b", "{id}"])
def test_id_that_is_no_uuid_is_named(roles: Roles, method: str, message_id: str) -> None:
    answer = roles.http.request(
        method, f"/api/messages/{message_id}", json={"content": "x"} if method == "PATCH" else None
    )
    assert fields_of(answer) == ["messageId"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_unknown_message_is_404(roles: Roles, method: str) -> None:
    message_id = new_id("c")
    answer = roles.http.request(
        method, f"/api/messages/{message_id}", json={"content": "x"} if method == "PATCH" else None
    )
    assert answer.status_code == 404
    assert problem_of(answer)["code"] == "unknown-message"


# --- changing ------------------------------------------------------------------------------------


def test_edit_changes_content(roles: Roles) -> None:
    conversation = fresh()
    message = roles.store(conversation, "draft")

    answer = roles.http.patch(f"/api/messages/{message['id']}", json={"content": "final"})

    assert answer.status_code == 202
    assert answer.json()["messageId"] == message["id"]
    assert answer.json()["jobId"] != message["id"]
    edited = until(lambda: [m for m in roles.page(conversation)["messages"] if m["editedAt"]])[0]
    assert edited["content"] == "final"
    assert edited["seq"] == 1
    assert roles.page(conversation)["seq"] == 2


def test_change_of_a_message_that_still_waits_is_done_after_it(idle_roles: Roles) -> None:
    idle_roles.start_api()
    message_id = idle_roles.send("c", "draft")
    assert idle_roles.http.patch(f"/api/messages/{message_id}", json={"content": "final"}).status_code == 202
    idle_roles.start_worker()
    until(lambda: idle_roles.page("c")["seq"] == 2)
    assert idle_roles.page("c")["messages"][0]["content"] == "final"


def test_repeated_change_under_the_same_key_is_one_job(roles: Roles) -> None:
    message = roles.store(fresh(), "draft")
    headers = {"Idempotency-Key": "k"}
    answers = [
        roles.http.patch(f"/api/messages/{message['id']}", json={"content": "final"}, headers=headers) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    answer = roles.http.patch(f"/api/messages/{message['id']}", json={"content": "other"}, headers=headers)
    assert problem_of(answer)["code"] == "idempotency-mismatch"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({}, [""]),
        ([], [""]),
        ({"content": "x", "status": "read"}, [""]),
        ({"content": " "}, ["content"]),
        ({"content": 1}, ["content"]),
        ({"status": "sent"}, ["status"]),
        ({"status": "seen"}, ["status"]),
        ({"status": None}, ["status"]),
        ({"content": "x", "more": 1}, ["more"]),
        ({"more": 1}, [""]),
    ],
)
def test_change_that_cannot_be_is_named_before_the_message_is_looked_up(
    roles: Roles, document: object, fields: list[str]
) -> None:
    assert fields_of(roles.http.patch(f"/api/messages/{NOWHERE}", json=document)) == fields


def test_change_with_oversized_content_is_413(roles: Roles) -> None:
    assert roles.http.patch(f"/api/messages/{NOWHERE}", json={"content": "x" * 16385}).status_code == 413


def test_malformed_change_is_400(roles: Roles) -> None:
    assert roles.http.patch(f"/api/messages/{NOWHERE}", content=b"{").status_code == 400


def test_reading_moves_the_status_and_the_unread_count(roles: Roles) -> None:
    conversation, reader = fresh(), f"u-{uuid4().hex[:8]}"
    headers = {"X-Chatq-User": reader}
    roles.store(conversation, "mine", senderId=reader)
    messages = [roles.store(conversation, content) for content in ("one", "two", "three")]

    def unread() -> int:
        (found,) = roles.http.get("/api/conversations", headers=headers).json()["conversations"]
        return int(found["unreadCount"])

    assert unread() == 3
    answer = roles.http.patch(f"/api/messages/{messages[1]['id']}", json={"status": "read"}, headers=headers)
    assert answer.status_code == 202
    until(lambda: unread() == 1)
    assert [message["status"] for message in roles.page(conversation)["messages"]] == ["sent", "read", "read", "sent"]


def test_deleted_message_is_a_tombstone_and_a_second_delete_has_no_effect(roles: Roles) -> None:
    conversation = fresh()
    message = roles.store(conversation, "regretted", metadata={"a": 1})

    assert roles.http.delete(f"/api/messages/{message['id']}").status_code == 202
    until(lambda: roles.state(message["id"]) == "deleted")
    assert roles.http.delete(f"/api/messages/{message['id']}").status_code == 202

    roles.store(conversation, "after")
    page = roles.page(conversation)
    assert page["seq"] == 3
    tombstone = page["messages"][0]
    assert tombstone["content"] is None
    assert tombstone["metadata"] is None
    assert tombstone["deletedAt"]
    answer = roles.http.patch(f"/api/messages/{message['id']}", json={"content": "back"})
    assert answer.status_code == 409
    assert problem_of(answer)["code"] == "message-deleted"


# --- reading -------------------------------------------------------------------------------------


def test_pages_go_both_ways_without_gap_or_overlap(roles: Roles) -> None:
    conversation = fresh()
    for number in range(1, 8):
        last = roles.send(conversation, f"m{number}")
    until(lambda: roles.state(last) == "persisted")

    def contents(page: dict[str, Any]) -> list[str]:
        return [message["content"] for message in page["messages"]]

    newest = roles.page(conversation, limit=3)
    assert contents(newest) == ["m5", "m6", "m7"]
    assert (newest["nextBefore"], newest["nextAfter"], newest["seq"]) == (5, None, 7)
    middle = roles.page(conversation, limit=3, before=newest["nextBefore"])
    assert contents(middle) == ["m2", "m3", "m4"]
    assert (middle["nextBefore"], middle["nextAfter"]) == (2, 4)
    oldest = roles.page(conversation, limit=3, before=middle["nextBefore"])
    assert contents(oldest) == ["m1"]
    assert oldest["nextBefore"] is None
    assert contents(roles.page(conversation, limit=3, after=oldest["nextAfter"])) == ["m2", "m3", "m4"]
    assert contents(roles.page(conversation, after=2, before=5)) == ["m3", "m4"]
    assert contents(roles.page(conversation, after=7)) == []
    assert len(roles.page(conversation)["messages"]) == 7


@ONE_DATABASE
@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("before=x", ["before"]),
        ("after=-1", ["after"]),
        ("after=", ["after"]),
        ("after=1.5", ["after"]),
        ("before=%D9%A3", ["before"]),
        ("before=99999999999999999999", ["before"]),
        ("limit=0", ["limit"]),
        ("limit=201", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=1&limit=2", ["limit"]),
        ("befor=1&after=x", ["befor", "after"]),
    ],
)
def test_cursor_that_is_none_is_named(roles: Roles, query: str, fields: list[str]) -> None:
    assert fields_of(roles.http.get(f"/api/conversations/c/messages?{query}")) == fields


def test_conversation_id_that_is_none_is_named(roles: Roles) -> None:
    assert fields_of(roles.http.get("/api/conversations/a%20b/messages")) == ["conversationId"]


def test_conversations_are_listed_by_newest_activity(roles: Roles) -> None:
    user = f"u-{uuid4().hex[:8]}"
    first, second = fresh(), fresh()
    for conversation in (first, second, first):
        last = roles.store(conversation, f"in {conversation}", senderId=user)
    found = roles.http.get("/api/conversations", headers={"X-Chatq-User": user}).json()["conversations"]
    assert [conversation["id"] for conversation in found] == [first, second]
    assert found[0]["lastMessage"] == last
    assert (found[0]["lastSeq"], found[0]["unreadCount"], found[0]["title"]) == (2, 0, None)
    assert found[0]["lastMessageAt"] == last["persistedAt"]
    nobody = roles.http.get("/api/conversations", headers={"X-Chatq-User": f"u-{uuid4().hex}"}).json()
    assert nobody == {"conversations": []}


# --- jobs ----------------------------------------------------------------------------------------


def test_job_is_told_of_while_it_waits_and_after_it_is_done(idle_roles: Roles) -> None:
    idle_roles.start_api()
    accepted = idle_roles.post("c", "hello").json()
    waiting = idle_roles.http.get(f"/api/jobs/{accepted['jobId']}").json()
    assert (waiting["name"], waiting["state"], waiting["attempts"]) == ("sendMessage", "queued", 0)
    assert waiting["jobId"] == accepted["jobId"]
    assert waiting["createdAt"] == waiting["enqueuedAt"]
    assert waiting["endedAt"] is waiting["error"] is None

    idle_roles.start_worker()

    until(lambda: idle_roles.state(accepted["messageId"]) == "persisted")
    done = until(lambda: [j for j in [idle_roles.http.get(f"/api/jobs/{accepted['jobId']}").json()] if j["endedAt"]])[0]
    assert (done["name"], done["state"], done["error"]) == ("sendMessage", "finished", None)


def test_failed_job_says_why(roles: Roles) -> None:
    result = roles.chatq("enqueue", "deleteMessage", f"messageId={NOWHERE}", "--json", env=roles.environment)
    job_id = json.loads(result.stdout)["jobId"]
    job = until(lambda: [j for j in [roles.http.get(f"/api/jobs/{job_id}").json()] if j["state"] == "failed"])[0]
    assert job["name"] == "deleteMessage"
    assert job["attempts"] == 1
    assert NOWHERE in job["error"]


def test_handlers_job_goes_by_its_name(roles: Roles) -> None:
    result = roles.chatq("enqueue", "resizeImage", "width=10", "--json", env=roles.environment)
    job = roles.http.get(f"/api/jobs/{json.loads(result.stdout)['jobId']}").json()
    assert (job["name"], job["state"]) == ("resizeImage", "queued")


def test_unknown_job_is_404(roles: Roles) -> None:
    answer = roles.http.get(f"/api/jobs/{NOWHERE}")
    assert answer.status_code == 404
    assert problem_of(answer)["code"] == "unknown-job"
    for job_id in ("a%20b", "a.b", "a:b", "%ff", "j" * 129):
        assert fields_of(roles.http.get(f"/api/jobs/{job_id}")) == ["jobId"]


# --- other addresses and methods -----------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/messages/", "/api/messages/a/b", "/metrics", "/%ff"])
def test_nothing_is_there(roles: Roles, path: str) -> None:
    answer = roles.http.get(f"{roles.url}{path}")
    assert answer.status_code == 404
    assert problem_of(answer)["code"] == "not-found"


@ONE_DATABASE
def test_other_method_is_405(roles: Roles) -> None:
    answer = roles.http.put("/api/messages", json={})
    assert answer.status_code == 405
    assert problem_of(answer)["code"] == "method-not-allowed"
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


@ONE_DATABASE
def test_every_problem_has_its_page(roles: Roles) -> None:
    for code in EXPLANATIONS:
        answer = roles.http.get(f"/problems/{code}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert code in answer.text
    assert problem_of(roles.http.get("/problems/none-such"))["code"] == "not-found"


@ONE_DATABASE
@pytest.mark.parametrize("page", ["/", "/docs", "/problems"])
def test_what_a_page_loads_is_there_and_may_be_loaded(roles: Roles, page: str) -> None:
    answer = roles.http.get(page)
    assert "img-src 'self';" in answer.headers["content-security-policy"]
    loaded = set(re.findall(r'<(?:link|script) [^>]*(?:href|src)="([^"]+)"', answer.text))
    assert {"/static/icon.svg", "/static/page.css"} <= loaded
    for path in loaded:
        assert roles.http.get(path).status_code == 200, path
    assert roles.http.get("/static/icon.svg").headers["content-type"] == "image/svg+xml"


def test_health(roles: Roles) -> None:
    assert roles.http.get("/healthz").json() == {"status": "ok"}
    assert roles.http.head("/healthz").status_code == 200
    assert roles.http.get("/readyz").json() == {"redis": "ok", "database": "ok"}


# --- foreign pages -------------------------------------------------------------------------------


@ONE_DATABASE
def test_foreign_host_name_is_not_served_on_loopback(roles: Roles) -> None:
    for path in ("/", "/api/conversations", "/healthz"):
        answer = roles.http.get(path, headers={"Host": "rebound.example"})
        assert answer.status_code == 403
        assert problem_of(answer)["code"] == "origin-refused"
    for host in (f"localhost:{roles.port}", "127.0.0.1", "[::1]:80", "dev.localhost"):
        assert roles.http.get("/healthz", headers={"Host": host}).status_code == 200


@ONE_DATABASE
def test_page_of_another_origin_may_not_send(roles: Roles) -> None:
    body = {"conversationId": fresh(), "messageData": {"content": "x"}}
    for origin in ("https://evil.example", f"https://127.0.0.1:{roles.port}", "http://127.0.0.1", "null"):
        answer = roles.http.post("/api/messages", json=body, headers={"Origin": origin})
        assert answer.status_code == 403
        assert problem_of(answer)["code"] == "origin-refused"
        assert "access-control-allow-origin" not in roles.http.get("/healthz", headers={"Origin": origin}).headers
    assert roles.http.post("/api/messages", json=body, headers={"Origin": roles.url}).status_code == 202


def test_allowed_origin_may_send_and_read(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_ALLOWED_ORIGINS": "https://app.example"})
    headers = {"Origin": "https://app.example"}
    body = {"conversationId": "c", "messageData": {"content": "x"}}
    ask = {**headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    asked = sqlite_roles.http.options("/api/messages", headers=ask)
    assert asked.status_code == 204
    assert "POST" in asked.headers["access-control-allow-methods"]
    sent = sqlite_roles.http.post("/api/messages", json=body, headers=headers)
    read = sqlite_roles.http.get("/api/conversations/c/messages", headers=headers)
    refused = sqlite_roles.http.get("/api/conversations/c/messages?limit=0", headers=headers)
    assert (sent.status_code, read.status_code, refused.status_code) == (202, 200, 422)
    for answer in (asked, sent, read, refused):
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert sqlite_roles.http.get("/healthz", headers={"Host": "app.example"}).status_code == 200


# --- what it needs is away -----------------------------------------------------------------------


def test_without_redis_503_and_with_it_again_202(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    assert sqlite_roles.post("c", "before").status_code == 202

    valkey.kill()

    answer = sqlite_roles.post("c", "during")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    problem = problem_of(answer)
    assert (problem["code"], problem["error"]) == ("queue-unavailable", "Failed to queue message")
    ready = sqlite_roles.http.get("/readyz")
    assert ready.status_code == 503
    assert problem_of(ready)["code"] == "not-ready"
    assert "redis: " in problem_of(ready)["detail"]
    assert sqlite_roles.http.get("/healthz").status_code == 200

    valkey.start()

    assert sqlite_roles.post("c", "after").status_code == 202
    assert sqlite_roles.http.get("/readyz").status_code == 200


def test_schema_out_of_date_is_not_ready(idle_roles: Roles, engine_of: Any) -> None:
    idle_roles.start_api()
    with engine_of(idle_roles).begin() as connection:
        connection.exec_driver_sql("UPDATE chatq_schema SET version_num = '0000'")
    answer = idle_roles.http.get("/readyz")
    assert answer.status_code == 503
    assert "chatq db upgrade" in problem_of(answer)["detail"]


def test_failed_message_says_so(idle_roles: Roles, engine_of: Any) -> None:
    idle_roles.start_api()
    message_id = new_id("c")
    with engine_of(idle_roles).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO failures (job_id, message_id, conversation_id, sender_id, reason, created_at) "
            f"VALUES ('{message_id}', '{message_id}', 'c', 'alice', 'too sad', '2026-01-01T00:00:00.000Z')"
        )
    known = idle_roles.http.get(f"/api/messages/{message_id}").json()
    assert known == {"messageId": message_id, "state": "failed", "error": "too sad"}
    assert idle_roles.http.patch(f"/api/messages/{message_id}", json={"content": "x"}).status_code == 404
    job = idle_roles.http.get(f"/api/jobs/{message_id}").json()
    assert (job["state"], job["error"]) == ("failed", "too sad")


def test_cancelled_message_has_failed(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    message_id = sqlite_roles.send("c", "x")
    client: redis.Redis = valkey.client()
    client.hset(f"rq:job:{message_id}", "status", "canceled")
    client.close()
    assert sqlite_roles.http.get(f"/api/messages/{message_id}").json()["state"] == "failed"
