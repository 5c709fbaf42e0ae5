"""Tokens at the front door: HTTP and websocket of an API that asks for them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import jwt
import pytest

from chatq.access.tokens import sign
from tests.acceptance.test_http import NOWHERE, fields_of, problem_of
from tests.parts.client import Client
from tests.parts.command import Chatq
from tests.parts.issuer import Issuer
from tests.parts.people import SECRET
from tests.parts.ports import free_port
from tests.parts.roles import Roles, fresh, installed
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until

AUDIENCE = "chat"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def guarded(issuer: Issuer) -> Iterator[Roles]:
    """An installation that takes tokens of both kinds."""
    env = {"CHATQ_JWT_SECRET": SECRET, "CHATQ_JWT_JWKS_URL": issuer.url, "CHATQ_JWT_AUDIENCE": AUDIENCE}
    with installed(env=env) as roles:
        roles.start_api()
        roles.start_worker()
        yield roles


def token(user: str = "alice", *, seconds: float = 60, service: bool = False) -> str:
    return sign(SECRET, user, expires_at=time.time() + seconds, audience=AUDIENCE, service=service)


def bearer(user: str = "alice", *, service: bool = False, acting_for: str | None = None) -> dict[str, str]:
    named = {} if acting_for is None else {"X-Chatq-User": acting_for}
    return {"Authorization": f"Bearer {token(user, service=service)}", **named}


def room(roles: Roles, *members: str) -> str:
    """Return a conversation in which each of these users has said one thing."""
    conversation = fresh()
    for member in members:
        fields = (f"conversationId={conversation}", f"senderId={member}", "content=first", "--wait")
        done = roles.chatq("enqueue", "sendMessage", *fields, env=roles.environment)
        assert done.returncode == 0, done.stderr
    return conversation


def message(conversation: str, **data: Any) -> dict[str, Any]:
    return {"conversationId": conversation, "messageData": {"content": "x", **data}}


def senders(roles: Roles, conversation: str, count: int) -> list[str]:
    """Wait until a conversation has so many messages, and return who sent them."""

    def found() -> list[dict[str, Any]]:
        headers = bearer("backend", service=True)
        messages = roles.http.get(f"/api/conversations/{conversation}/messages", headers=headers).json()["messages"]
        return list(messages) if len(messages) >= count else []

    return [entry["senderId"] for entry in until(found, what=f"{count} messages")]


# --- HTTP: no token, or none that counts -----------------------------------------------------------


ROUTES = [
    ("POST", "/api/messages"),
    ("POST", "/api/messages/batch"),
    ("GET", f"/api/messages/{NOWHERE}"),
    ("PATCH", f"/api/messages/{NOWHERE}"),
    ("DELETE", f"/api/messages/{NOWHERE}"),
    ("GET", "/api/conversations"),
    ("POST", "/api/conversations"),
    ("GET", "/api/conversations/c"),
    ("PUT", "/api/conversations/c/members/alice"),
    ("DELETE", "/api/conversations/c/members/alice"),
    ("GET", "/api/conversations/c/messages"),
    ("GET", f"/api/jobs/{NOWHERE}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_of_the_api_asks_for_a_token(guarded: Roles, method: str, path: str) -> None:
    for headers in ({}, {"X-Chatq-User": "alice"}, {"Authorization": ""}):
        answer = guarded.http.request(method, path, headers=headers, json=message("c", senderId="alice"))
        assert answer.status_code == 401
        problem = problem_of(answer)
        assert problem["code"] == "unauthorized"
        assert "Authorization: Bearer" in problem["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer realm="chatq"'


@pytest.mark.parametrize(
    "path", ["//api/conversations", "/api//conversations", "/%61pi/conversations", "/api/./conversations"]
)
def test_no_spelling_of_a_path_gets_round_it(guarded: Roles, path: str) -> None:
    with closing(socket.create_connection(("127.0.0.1", guarded.port), PATIENCE_SECONDS)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status = connection.makefile("rb").readline()
    assert status.split()[1] in {b"401", b"404", b"308"}, status


def test_what_is_public_needs_none(guarded: Roles) -> None:
    for path in (
        "/",
        "/healthz",
        "/readyz",
        "/problems",
        "/problems/unauthorized",
        "/docs",
        "/openapi.json",
        "/asyncapi.json",
    ):
        assert guarded.http.get(path).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Basic YWxpY2U6c2VjcmV0", "Bearer"),
        ("Bearer", "JSON Web Token"),
        ("Bearer nonsense", "JSON Web Token"),
        (f"Bearer {token()}x", "signature"),
        (f"Bearer {token()}, Bearer {token()}", "JSON Web Token"),
        (f"Bearer {token(seconds=-60)}", "expired"),
        (f"Bearer {sign(SECRET, 'alice', expires_at=9e9)}", "audience"),
        (f"Bearer {sign(SECRET, 'alice', expires_at=9e9, audience='mail')}", "audience"),
        (f"Bearer {sign(SECRET + '!', 'alice', expires_at=9e9, audience=AUDIENCE)}", "signature"),
        (f"Bearer {jwt.encode({'exp': 9e9, 'aud': AUDIENCE}, SECRET)}", "sub is missing"),
        (f"Bearer {jwt.encode({'sub': 'alice', 'aud': AUDIENCE}, SECRET)}", "exp"),
    ],
    ids=["basic", "empty", "nonsense", "changed", "two", "expired", "no audience", "other audience", "other secret",
         "no sub", "no exp"],
)  # fmt: skip
def test_a_token_that_does_not_count_is_401_and_says_why(guarded: Roles, authorization: str, said: str) -> None:
    headers = {"Authorization": authorization}
    for answer in (
        guarded.http.get("/api/conversations", headers=headers),
        guarded.http.post("/api/messages", json=message("c"), headers=headers),
    ):
        assert answer.status_code == 401
        problem = problem_of(answer)
        assert problem["code"] == "unauthorized"
        assert said in problem["detail"]
        assert answer.headers["www-authenticate"] == 'Bearer realm="chatq", error="invalid_token"'
        assert SECRET not in answer.text


def test_an_address_is_no_place_for_a_token(guarded: Roles) -> None:
    for name in ("token", "access_token", "authorization"):
        assert guarded.http.get(f"/api/conversations?{name}={token()}").status_code == 401


def test_a_scheme_is_known_in_any_case(guarded: Roles) -> None:
    for scheme in ("bearer", "BEARER"):
        answer = guarded.http.get("/api/conversations", headers={"Authorization": f"{scheme} {token()}"})
        assert answer.status_code == 200


def test_a_page_may_ask_whether_it_may_send_a_token(guarded: Roles) -> None:
    ask = {"Origin": guarded.url, "Access-Control-Request-Method": "POST"}
    answer = guarded.http.options("/api/messages", headers=ask)
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]


# --- HTTP: who it is -------------------------------------------------------------------------------


def test_the_sender_is_the_subject(guarded: Roles) -> None:
    conversation = room(guarded, "alice")

    def send(**data: str) -> httpx.Response:
        return guarded.http.post("/api/messages", json=message(conversation, **data), headers=bearer())

    assert send().status_code == send(senderId="alice").status_code == 202
    refused = send(senderId="bob")
    assert refused.status_code == 403
    assert problem_of(refused)["code"] == "forbidden"
    assert "'bob'" in problem_of(refused)["detail"]
    assert senders(guarded, conversation, 3) == ["alice"] * 3


def test_a_header_names_nobody_else(guarded: Roles) -> None:
    get = guarded.http.get
    assert get("/api/conversations", headers=bearer("alice", acting_for="alice")).status_code == 200
    refused = get("/api/conversations", headers=bearer("alice", acting_for="bob"))
    assert (refused.status_code, problem_of(refused)["code"]) == (403, "forbidden")
    assert fields_of(get("/api/conversations", headers=bearer("alice", acting_for="a b"))) == ["X-Chatq-User"]


def test_in_a_batch_each_sender_is_looked_at(guarded: Roles) -> None:
    conversation = room(guarded, "alice")
    batch = [message(conversation), message(conversation, senderId="bob"), message(conversation, senderId="alice")]
    answer = guarded.http.post("/api/messages/batch", json={"messages": batch}, headers=bearer())
    results = answer.json()["results"]
    assert [result.get("code") for result in results] == [None, "forbidden", None]
    assert senders(guarded, conversation, 3) == ["alice"] * 3


def test_a_service_acts_for_whom_it_names(guarded: Roles) -> None:
    conversation = room(guarded, "alice")

    def send(acting_for: str | None, **data: str) -> int:
        headers = bearer("backend", service=True, acting_for=acting_for)
        return guarded.http.post("/api/messages", json=message(conversation, **data), headers=headers).status_code

    assert send(None) == send(None, senderId="ann") == send("bob") == send("bob", senderId="bob") == 202
    assert send("bob", senderId="ann") == 403
    assert senders(guarded, conversation, 5) == ["alice", "backend", "ann", "bob", "bob"]


def test_conversations_are_the_subjects(guarded: Roles) -> None:
    conversation = room(guarded, "dora")

    def listed(headers: dict[str, str]) -> list[str]:
        answer = guarded.http.get("/api/conversations", headers=headers)
        return [found["id"] for found in answer.json()["conversations"]]

    assert listed(bearer("dora")) == [conversation]
    assert listed(bearer("nobody")) == []
    assert listed(bearer("backend", service=True, acting_for="dora")) == [conversation]


@pytest.mark.parametrize("kid", ["r", "e"])
def test_tokens_of_an_identity_provider_are_believed(guarded: Roles, issuer: Issuer, kid: str) -> None:
    conversation = room(guarded, "ann")
    headers = {"Authorization": f"Bearer {issuer.sign('ann', kid, aud=[AUDIENCE, 'more'])}"}
    for _ in range(2):
        assert guarded.http.post("/api/messages", json=message(conversation), headers=headers).status_code == 202
    wrong = {"Authorization": f"Bearer {issuer.sign('ann', kid, aud='mail')}"}
    assert guarded.http.get("/api/conversations", headers=wrong).status_code == 401
    assert senders(guarded, conversation, 3) == ["ann"] * 3


def test_an_identity_provider_that_is_away_is_503(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> None:
    issuer = Issuer()
    chatq.environment["CHATQ_JWT_JWKS_URL"] = issuer.url
    roles = Roles(chatq, valkey.url, sqlite_url)
    # Given an API that started while the identity provider was well
    api = roles.start_api()
    # When nobody answers there
    signed = issuer.sign()
    issuer.close()
    answer = roles.http.post("/api/messages", json=message("c"), headers={"Authorization": f"Bearer {signed}"})
    # Then it is nobody's fault who calls
    assert answer.status_code == 503
    assert problem_of(answer)["code"] == "not-ready"
    assert int(answer.headers["retry-after"]) > 0
    api.wait_for("keys cannot be fetched")
    assert roles.http.get("/healthz").status_code == roles.http.get("/readyz").status_code == 200
    with roles.connect() as client:
        client.say("auth", token=signed, ref="r")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("not-ready", "r")
        client.quiet()
    roles.close()


def test_with_an_identity_provider_that_hangs_others_go_on(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> None:
    issuer = Issuer()
    chatq.environment |= {"CHATQ_JWT_JWKS_URL": issuer.url, "CHATQ_JWT_SECRET": SECRET}
    roles = Roles(chatq, valkey.url, sqlite_url)
    roles.start_api()
    issuer.open.clear()
    with roles.connect() as client:
        client.say("auth", token=issuer.sign("ann"))
        until(lambda: issuer.requests == 1)
        # One process has no thread to spare, and answers nevertheless.
        headers = {"Authorization": f"Bearer {sign(SECRET, 'bob', expires_at=time.time() + 60)}"}
        assert roles.http.get("/api/conversations", headers=headers).status_code == 200
        issuer.open.set()
        assert client.expect("authenticated")["userId"] == "ann"
    roles.close()
    issuer.close()


# --- the websocket ---------------------------------------------------------------------------------


def authenticate(client: Client, user: str = "alice", **options: Any) -> None:
    client.say("auth", token=token(user, **options))
    assert client.expect("authenticated") == {"type": "authenticated", "userId": user}


def test_a_socket_says_who_it_is_and_gets_what_is_its_users(guarded: Roles) -> None:
    conversation = room(guarded, "alice")
    with Client(f"ws://127.0.0.1:{guarded.port}/ws") as client:
        assert client.expect("hello")["authRequired"] is True
        authenticate(client)
        client.join(conversation)
        guarded.http.post("/api/messages", json=message(conversation), headers=bearer())
        assert client.expect("newMessage")["message"]["senderId"] == "alice"


def test_before_it_only_ping_is_answered(guarded: Roles) -> None:
    conversation = room(guarded, "alice")
    with guarded.connect() as client:
        for kind in ("join", "leave"):
            client.say(kind, conversationId=conversation, ref="r")
            error = client.expect("error")
            assert (error["code"], error["ref"]) == ("unauthorized", "r")
        client.quiet()
        guarded.http.post("/api/messages", json=message(conversation), headers=bearer())
        authenticate(client)
        client.quiet()
        client.join(conversation)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"token": "nonsense"}, "unauthorized"),
        ({"token": token() + "x"}, "unauthorized"),
        ({"token": token(seconds=-60)}, "unauthorized"),
        ({"token": ""}, "unauthorized"),
        ({"token": None}, "invalid-fields"),
        ({}, "invalid-fields"),
        ({"userId": "alice"}, "invalid-fields"),
        ({"token": token(), "userId": "alice"}, "invalid-fields"),
    ],
)
def test_a_bad_token_is_an_error_and_another_may_follow(guarded: Roles, frame: dict[str, Any], code: str) -> None:
    with guarded.connect() as client:
        client.say("auth", ref="r", **frame)
        error = client.expect("error")
        assert (error["code"], error["ref"]) == (code, "r")
        client.say("join", conversationId="c")
        assert client.expect("error")["code"] == "unauthorized"
        authenticate(client)


def test_a_socket_that_says_nothing_or_nothing_true_is_closed_in_time(guarded: Roles) -> None:
    began = time.monotonic()
    with guarded.connect() as silent, guarded.connect() as wrong, guarded.connect() as good:
        authenticate(good)
        wrong.say("auth", token="nonsense")
        wrong.expect("error")
        assert silent.close_code() == wrong.close_code() == 4401
        # Not before its time: a test for which a slow machine is no excuse.
        assert time.monotonic() - began > 8
        good.quiet()


def test_a_socket_ends_with_its_token(guarded: Roles) -> None:
    conversation = room(guarded, "alice")
    with guarded.connect() as short, guarded.connect() as renewed, guarded.connect() as long:
        authenticate(long)
        # With the leeway, some seconds.
        authenticate(renewed, seconds=1)
        authenticate(renewed, seconds=600)
        authenticate(short, seconds=1)
        renewed.join(conversation)
        assert short.close_code() == 4401
        guarded.http.post("/api/messages", json=message(conversation), headers=bearer())
        assert renewed.expect("newMessage")["conversationId"] == conversation
        for client in (renewed, long):
            client.quiet()


def test_a_socket_stays_its_users(guarded: Roles) -> None:
    with guarded.connect() as client:
        authenticate(client, "alice")
        client.say("auth", token=token("bob"))
        error = client.expect("error")
        assert error["code"] == "forbidden"
        assert "'alice'" in error["detail"]
        client.say("auth", token="nonsense")
        assert client.expect("error")["code"] == "unauthorized"
        authenticate(client, "alice")
        client.quiet()


def test_a_failure_is_told_to_its_sender_alone(guarded: Roles) -> None:
    # It would be told again to whoever comes as the same user: to no other test.
    conversation = room(guarded, "unlucky")
    with guarded.connect() as sender, guarded.connect() as bob, guarded.connect() as nobody:
        authenticate(sender, "unlucky")
        authenticate(sender, "unlucky")
        authenticate(bob, "bob")
        done = guarded.chatq(
            "enqueue", "sendMessage", f"conversationId={conversation}", "senderId=unlucky", "content=x",
            "--data", json.dumps({"expiresAt": "2020-01-01T00:00:00Z"}), env=guarded.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sender.expect("messageFailed")["reason"]
        for client in (sender, bob, nobody):
            client.quiet()


# --- what listens where ----------------------------------------------------------------------------


def test_what_hears_of_removals_stays_connected_while_nothing_is_said(
    chatq: Chatq, valkey: Valkey, sqlite_url: str
) -> None:
    def listeners() -> dict[str, str]:
        return {each["id"]: each["cmd"] for each in valkey.client().client_list(_type="pubsub")}

    # Given an API with nobody in it
    roles = Roles(chatq, valkey.url, sqlite_url)
    roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    until(listeners, what="a subscription")
    before = set(listeners())
    # When it asks whether Redis lives
    until(lambda: "ping" in listeners().values(), what="a ping")
    # Then it goes on listening over the same connection: a channel is added to it
    with roles.connect() as client:
        authenticate(client)
        assert set(listeners()) == before
    roles.close()


def test_beyond_this_machine_only_with_tokens_or_on_demand(chatq: Chatq, valkey: Valkey, sqlite_url: str) -> None:
    roles = Roles(chatq, valkey.url, sqlite_url)
    for command in ("api", "all"):
        ended = chatq(command, "--host", "0.0.0.0", "--port", str(roles.port), env=roles.environment)  # noqa: S104  # it is refused
        assert ended.returncode == 2
        assert "CHATQ_JWT_SECRET" in ended.stderr
        assert "--insecure" in ended.stderr
    for arguments, env in (((), {"CHATQ_JWT_SECRET": SECRET}), (("--insecure",), {})):
        api = roles.start_api("--host", "0.0.0.0", *arguments, env=env)  # noqa: S104  # as asked for
        assert roles.http.get("/api/conversations").status_code == (401 if env else 200)
        assert api.terminate() == 0
        assert SECRET not in api.output
    roles.close()


def test_the_whole_system_asks_for_tokens_too(chatq: Chatq) -> None:
    port = free_port()
    chatq.environment["CHATQ_JWT_SECRET"] = SECRET
    running = chatq.start("all", "--port", str(port))
    running.wait_for("ready: the page is at")
    signed = chatq("token", "--user", "alice").stdout.strip()
    url = f"http://127.0.0.1:{port}/api/conversations"
    with httpx.Client(timeout=PATIENCE_SECONDS) as http:
        assert http.get(url).status_code == 401
        assert http.get(url, headers={"Authorization": f"Bearer {signed}"}).status_code == 200
    assert running.terminate() == 0
    assert SECRET not in running.output
    assert signed not in running.output
