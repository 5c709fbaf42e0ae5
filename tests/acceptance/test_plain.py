"""The hottest requests: in their plainest form they are read in another way, and nobody may notice."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatq.web.plain import read_handshake, read_plain
from tests.parts.client import RawSocket, frame
from tests.parts.roles import Roles, fresh
from tests.parts.waiting import PATIENCE_SECONDS, until


def request(body: bytes, *headers: str, line: str = "POST /api/messages HTTP/1.1") -> bytes:
    head = [line, "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def handshake(*headers: str, line: str = "GET /ws HTTP/1.1", without: str = "") -> bytes:
    upgrade = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines = [line, *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers]
    return "\r\n".join(each for each in lines if each != without).encode() + b"\r\n\r\n"


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


def test_a_plain_handshake_is_read_whole() -> None:
    data = handshake("Origin: http://localhost", "Sec-WebSocket-Extensions: permessage-deflate", "Cookie: a=b")

    environ, size = read_handshake(data + b"frames") or ({}, 0)

    assert size == len(data)
    assert environ["HTTP_ORIGIN"] == "http://localhost"
    assert environ["HTTP_SEC_WEBSOCKET_VERSION"] == "13"
    assert read_handshake(
        handshake("X: y", without="Connection: Upgrade")[:-2] + b"Connection: keep-alive, UPGRADE\r\n\r\n"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        handshake()[:-1],
        handshake().replace(b"\r\n", b"\n"),
        handshake(line="GET /ws HTTP/1.0"),
        handshake(line="GET /ws?x=1 HTTP/1.1"),
        handshake(line="POST /ws HTTP/1.1"),
        handshake("Upgrade: websocket"),
        handshake(without="Upgrade: websocket"),
        handshake(without="Connection: Upgrade"),
        handshake("Content-Length: 2"),
        handshake("Transfer-Encoding: chunked"),
        handshake("X-Forwarded-Proto: https"),
        request(b"{}"),
    ],
)
def test_an_unusual_handshake_is_left_to_gunicorn(data: bytes) -> None:
    assert read_handshake(data) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_end_in_an_error(noise: bytes, at: int) -> None:
    for whole, read in ((request(b"{}", "Connection: keep-alive"), read_plain), (handshake(), read_handshake)):
        for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
            found = read(data)
            assert found is None or found[1] <= len(data)


def test_handshakes_of_both_kinds_begin_the_same_session(roles: Roles) -> None:
    for pieces in (
        [handshake()],
        # What gunicorn reads: in pieces, by another spelling, and through a proxy.
        [handshake()[:40], handshake()[40:]],
        [handshake(line="GET /ws? HTTP/1.1")],
        [handshake("X-Forwarded-Proto: https")],
        # With a frame right behind it, which no client may send, and after a request on the same connection.
        [handshake() + frame(9, b"early")],
        [request(message(fresh(), "before")), handshake()],
    ):
        with closing(socket.create_connection(("127.0.0.1", roles.port), PATIENCE_SECONDS)) as connection:
            for piece in pieces[:-1]:
                connection.sendall(piece)
                if piece.startswith(b"POST"):
                    assert connection.recv(65536).startswith(b"HTTP/1.1 202")
            connection.sendall(pieces[-1])
            raw = RawSocket.on(connection)
            if not pieces[-1].endswith(b"\r\n\r\n"):
                assert {(raw.read() or (0, b""))[0] for _ in range(2)} == {1, 10}
            else:
                _, hello = raw.read() or (0, b"")
                assert json.loads(hello)["type"] == "hello"
            raw.say("ping")
            assert raw.read() == (1, b'{"type":"pong","seqs":{}}')


def test_requests_of_both_kinds_on_one_connection(roles: Roles) -> None:
    conversation = fresh()
    with (
        closing(socket.create_connection(("127.0.0.1", roles.port), PATIENCE_SECONDS)) as connection,
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
