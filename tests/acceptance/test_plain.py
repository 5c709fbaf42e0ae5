"""The hottest request: in its plainest form it is read in another way, and nobody may notice."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatq.web.plain import read_plain
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import until


def request(body: bytes, *headers: str, line: str = "POST /api/messages HTTP/1.1") -> bytes:
    head = [line, "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def message(conversation: str, content: str) -> bytes:
    return json.dumps({"conversationId": conversation, "messageData": {"content": content}}).encode()


def test_a_plain_request_is_read_whole() -> None:
    data = request(b"{}", "X-Chatq-User: ann", "Connection: keep-alive") + b"POST /next"

    environ, size = read_plain(data) or ({}, 0)

    assert data[size:] == b"POST /next"
    assert environ["wsgi.input"].read() == b"{}"
    assert environ["HTTP_X_CHATQ_USER"] == "ann"
    assert environ["CONTENT_TYPE"] == "application/json"
    assert environ["CONTENT_LENGTH"] == "2"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P",
        request(b"{}")[:-1],
        request(b"{}").replace(b"\r\n", b"\n"),
        request(b"{}", line="POST /api/messages HTTP/1.0"),
        request(b"{}", line="POST /api/messages?x=1 HTTP/1.1"),
        request(b"{}", line="GET /api/messages HTTP/1.1"),
        request(b"{}", "Content-Length: 2"),
        request(b"{}", "content-length: 3"),
        request(b"{}", "Transfer-Encoding: chunked"),
        request(b"{}", "transfer-encoding: identity"),
        request(b"{}", "Expect: 100-continue"),
        request(b"{}", "Connection: close"),
        request(b"{}", "Connection: keep-alive, Upgrade", "Upgrade: h2c"),
        request(b"{}", "X-Forwarded-Proto: https"),
        request(b"{}", "Content_Length: 3"),
        request(b"{}", "X: a\r\n folded"),
        request(b"{}", "X : a"),
        request(b"{}", "X:a"),
        request(b"{}", "X: \x7f"),
        request(b"{}").replace(b"Content-Length: 2", b"Content-Length: +2"),
        request(b"{}").replace(b"Content-Length: 2", b"Content-Length: 2, 2"),
        request(b"{}").replace(b"Content-Length: 2\r\n", b""),
    ],
)
def test_what_is_unusual_is_left_to_gunicorn(data: bytes) -> None:
    assert read_plain(data) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_end_in_an_error(noise: bytes, at: int) -> None:
    whole = request(b"{}", "Connection: keep-alive")
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        found = read_plain(data)
        assert found is None or found[1] <= len(data)


def test_requests_of_both_kinds_on_one_connection(roles: Roles) -> None:
    conversation = fresh()
    with (
        closing(socket.create_connection(("127.0.0.1", roles.port), 20)) as connection,
        connection.makefile("rb") as file,
    ):

        def answer() -> tuple[str, dict[str, str]]:
            status = file.readline().decode().strip()
            headers = {}
            while (line := file.readline().decode().strip()) != "":
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            document: dict[str, str] = json.loads(file.read(int(headers["content-length"])))
            return status, document

        # Two at once, one of them wrong, then one in pieces, which is no plain one, then a plain one again.
        connection.sendall(request(message(conversation, "1")) + request(b"{"))
        first, wrong = answer(), answer()
        late = request(message(conversation, "2"))
        connection.sendall(late[:30])
        connection.sendall(late[30:])
        second = answer()
        connection.sendall(request(message(conversation, "3")))
        third = answer()

    assert [status for status, _ in (first, wrong, second, third)] == [
        "HTTP/1.1 202 Accepted",
        "HTTP/1.1 400 Bad Request",
        "HTTP/1.1 202 Accepted",
        "HTTP/1.1 202 Accepted",
    ]
    assert wrong[1]["code"] == "malformed-json"
    until(lambda: roles.state(third[1]["messageId"]) == "persisted")
    assert [m["content"] for m in roles.page(conversation)["messages"]] == ["1", "2", "3"]
