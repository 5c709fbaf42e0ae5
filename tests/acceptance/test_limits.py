"""Limits at the front door: what a user may send and say, over HTTP and sockets, at one process or at several."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
import redis
from websockets.exceptions import ConnectionClosed

from chatq.queue import keys
from chatq.realtime.meter import MAX_REFUSED_TOKENS, MAX_UNKNOWN_FRAMES
from tests.acceptance.test_http import problem_of
from tests.parts.client import RawSocket, frame
from tests.parts.command import Chatq
from tests.parts.forking import API
from tests.parts.people import SECRET, Person
from tests.parts.ports import free_port
from tests.parts.roles import Roles, beside, fresh, installed
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS

FEW = {"CHATQ_RATE_LIMIT": "5/h"}
"""So little that no time matters: one more in twelve minutes."""
POLICY = '"messages";q=5;w=3600'
TOO_FAST = 4429
CONTINUATION, TEXT, PING = 0x0, 0x1, 0x9


@pytest.fixture(scope="module")
def installation() -> Iterator[Roles]:
    """An API in development mode where a user may send five messages, for all tests of this module."""
    with installed() as roles:
        roles.start_api(env=FEW)
        yield roles


@pytest.fixture(scope="module")
def guarded(installation: Roles) -> Iterator[Roles]:
    """The same with tokens."""
    with beside(installation, env={**FEW, "CHATQ_JWT_SECRET": SECRET}) as guarded:
        yield guarded


@pytest.fixture
def limited(installation: Roles) -> Roles:
    """The API of all, where nobody has sent anything of late; what sockets may do is of use to one test a user."""
    with closing(redis.Redis.from_url(installation.environment["REDIS_URL"])) as client:
        for key in client.scan_iter(f"{keys.SENT}*"):
            client.delete(key)
    return installation


def left(answer: httpx.Response) -> int:
    """Return how many messages an answer says may still be sent."""
    assert answer.headers["RateLimit-Policy"] == POLICY
    found = re.fullmatch(r'"messages";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found, answer.headers["RateLimit"]
    assert 0 < int(found[2]) <= 3600
    return int(found[1])


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 429
    assert problem_of(answer)["code"] == "rate-limited"
    assert left(answer) == 0
    wait = answer.headers["Retry-After"]
    assert 0 < int(wait) <= 720
    assert answer.headers["RateLimit"].endswith(f";t={wait}")
    assert answer.json()["retryAfter"] == int(wait)
    assert "CHATQ_RATE_LIMIT" in answer.json()["detail"]


# --- HTTP ----------------------------------------------------------------------------------------


def test_two_processes_share_a_users_limit(limited: Roles) -> None:
    port = free_port()
    limited.chatq.fork(API, "api", "--port", str(port), env={**limited.environment, **FEW}).wait_for("listening")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as other:
        body = {"conversationId": fresh(), "messageData": {"senderId": "alice", "content": "hi"}}

        answers = [http.post("/api/messages", json=body) for http in (limited.http, other) for _ in range(3)]

    assert [left(answer) for answer in answers] == [4, 3, 2, 1, 0, 0]
    assert [answer.status_code for answer in answers[:5]] == [202] * 5
    check_refused(answers[5])
    # And somebody else may still send
    assert left(limited.post(fresh(), "hi", senderId="bob")) == 4


def test_without_the_setting_no_answer_speaks_of_limits(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api()
    answers = [sqlite_roles.post("c", f"{i}") for i in range(20)]
    assert {answer.status_code for answer in answers} == {202}
    assert not any(name.lower().startswith("ratelimit") for answer in answers for name in answer.headers)


def test_a_repeat_gets_its_202_although_nothing_may_be_sent_any_more(limited: Roles) -> None:
    conversation = fresh()
    first = limited.post(conversation, "0", clientMessageId="0")
    while limited.post(conversation, "more").status_code == 202:
        pass

    again = limited.post(conversation, "0", clientMessageId="0")
    check_refused(limited.post(conversation, "new", clientMessageId="1"))

    assert (again.status_code, again.json()) == (202, first.json())
    other = limited.post(conversation, "other", clientMessageId="0")
    assert problem_of(other)["code"] == "idempotency-mismatch"


def test_each_message_of_a_batch_counts(limited: Roles) -> None:
    messages = [
        {"conversationId": "c", "messageData": {"senderId": "alice", "content": f"{i}" if i != 2 else ""}}
        for i in range(8)
    ]
    answer = limited.http.post("/api/messages/batch", json={"messages": messages[:3]})
    assert (answer.status_code, left(answer)) == (202, 3)

    answer = limited.http.post("/api/messages/batch", json={"messages": messages})

    assert (answer.status_code, left(answer)) == (202, 0)
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["Message queued"] * 2 + [422, "Message queued"] + [429] * 4
    assert results[-1]["code"] == "rate-limited"
    assert 0 < results[-1]["retryAfter"] <= 720


def test_edits_and_deletions_count_as_messages(limited: Roles) -> None:
    message = f"/api/messages/{limited.send(fresh(), 'hello')}"
    alice = {"X-Chatq-User": "alice"}

    answers = [
        limited.http.patch(message, json={"content": "else"}, headers=alice),
        limited.http.patch(message, json={"status": "read"}, headers=alice),
        limited.http.delete(message, headers=alice),
        limited.http.delete(message, headers=alice),
    ]

    assert [left(answer) for answer in answers] == [3, 2, 1, 0]
    check_refused(limited.http.delete(message, headers=alice))


def test_with_tokens_the_subject_pays_and_a_service_does_not(guarded: Roles) -> None:
    owner, backend = Person(guarded, "owner"), Person(guarded, "backend", service=True)
    conversation = fresh()
    owner.make(conversation)

    answers = [owner.send(conversation, f"{i}") for i in range(6)]
    by_service = [backend.send(conversation, f"{i}", senderId="owner") for i in range(20)]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert {answer.status_code for answer in by_service} == {202}
    assert not any("RateLimit" in answer.headers for answer in by_service)


def test_limits_begin_anew_with_an_empty_redis_and_outlast_one_that_is_restarted(
    sqlite_roles: Roles, valkey: Valkey
) -> None:
    limited = sqlite_roles
    limited.start_api(env=FEW)
    conversation = fresh()
    for _ in range(5):
        limited.send(conversation, "hi")
    valkey.kill()
    assert limited.post(conversation, "hi").status_code == 503

    valkey.start()
    check_refused(limited.post(conversation, "hi"))

    valkey.client().flushall()
    valkey.client().script_flush()
    assert left(limited.post(conversation, "hi")) == 4


def test_pages_of_other_origins_may_read_what_is_left(sqlite_roles: Roles) -> None:
    origin = "https://chat.example"
    sqlite_roles.start_api(env={**FEW, "CHATQ_ALLOWED_ORIGINS": origin})
    body = {"conversationId": "c", "messageData": {"content": "hi"}}
    answer = sqlite_roles.http.post("/api/messages", json=body, headers={"Origin": origin})
    assert left(answer) == 4
    assert {"RateLimit", "RateLimit-Policy"} < set(answer.headers["Access-Control-Expose-Headers"].split(", "))


# --- websocket -----------------------------------------------------------------------------------


def close_code_of(raw: RawSocket) -> int:
    """Wait for the end of a connection, whatever comes before it, and return its code."""
    while (got := raw.read()) is not None:
        if got[0] == 8:
            return int.from_bytes(got[1][:2])
    raise AssertionError("it ended without a word")


def test_a_send_above_the_limit_is_refused_and_the_socket_stays_open(limited: Roles) -> None:
    with limited.connect() as client:
        client.auth("alice")
        for number in range(7):
            client.say("send", ref=f"{number}", conversationId="c", messageData={"content": f"{number}"})
        answers = [client.hear() for _ in range(7)]

        assert [(answer["type"], answer["ref"]) for answer in answers] == [
            *(("accepted", f"{number}") for number in range(5)),
            *(("error", f"{number}") for number in (5, 6)),
        ]
        assert answers[5]["code"] == "rate-limited"
        assert 0 < answers[5]["retryAfter"] <= 720
        client.quiet()
    # And what is sent in other ways counts to the same limit
    check_refused(limited.post("c", "hi"))


def test_who_floods_is_cut_off_and_others_are_not(limited: Roles) -> None:
    with limited.connect() as other, RawSocket(limited.port) as raw:
        other.auth("bob")
        raw.send(TEXT, b'{"type":"auth","userId":"flood"}')
        # One write: nobody can say that it was not fast.
        raw.socket.sendall(frame(TEXT, b'{"type":"nonsense"}') * 5000)

        assert close_code_of(raw) == TOO_FAST
        other.quiet()


def test_who_floods_with_frames_that_are_no_messages_is_cut_off_as_well(limited: Roles) -> None:
    fragments = frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 5000
    for user, flood in (("pings", frame(PING, b"") * 5000), ("fragments", fragments)):
        with RawSocket(limited.port) as raw:
            raw.say("auth", userId=user)
            raw.socket.sendall(flood)
            assert close_code_of(raw) == TOO_FAST


def test_a_user_joins_only_so_many_conversations(limited: Roles) -> None:
    with limited.connect() as client:
        client.auth("joiner")
        for number in range(1500):
            client.say("join", conversationId=f"c{number % 7}", ref=f"{number}")
        client.say("leave", conversationId="none")
        answers: list[dict[str, Any]] = []
        while not answers or answers[-1]["type"] != "left":
            answers.append(client.hear())

    assert sum(answer["type"] == "joined" for answer in answers) >= 1000
    refusals = [answer for answer in answers if answer["type"] == "error"]
    assert refusals
    assert {answer["code"] for answer in refusals} == {"rate-limited"}


def test_a_user_opens_only_so_many_sockets(guarded: Roles) -> None:
    hoarder, backend = Person(guarded, "hoarder"), Person(guarded, "backend", service=True)
    with ExitStack() as stack:
        opened = 0
        refused = None
        while refused is None and opened < 101:
            client = stack.enter_context(guarded.connect())
            client.say("auth", **hoarder.proof)
            try:
                client.expect("authenticated")
            except ConnectionClosed as closed:
                refused = closed
            else:
                opened += 1
        assert opened >= 60
        assert refused is not None
        assert refused.rcvd is not None
        assert refused.rcvd.code == TOO_FAST
        with backend.connect() as service:
            service.quiet()


# --- whatever the settings -----------------------------------------------------------------------


def test_a_socket_tries_only_so_many_tokens(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    alice = Person(sqlite_roles, "alice")
    tries = [{"type": "auth", "token": f"{alice.proof['token']}{number}"} for number in range(MAX_REFUSED_TOKENS * 3)]
    with RawSocket(sqlite_roles.port) as raw:
        raw.read()
        # One write: the server closes while some are on their way.
        raw.socket.sendall(b"".join(frame(TEXT, json.dumps(each).encode()) for each in tries))
        for _ in range(MAX_REFUSED_TOKENS - 1):
            _, error = raw.read() or (0, b"{}")
            assert json.loads(error)["code"] == "unauthorized"
        assert close_code_of(raw) == TOO_FAST


def test_a_socket_says_only_so_much_before_it_says_who_it_is(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api(env={"CHATQ_JWT_SECRET": SECRET})
    with RawSocket(sqlite_roles.port) as raw:
        raw.socket.sendall(frame(TEXT, b'{"type":"ping"}') * (MAX_UNKNOWN_FRAMES + 1))
        assert close_code_of(raw) == TOO_FAST


def test_a_rate_that_is_none_is_refused_at_the_start(chatq: Chatq, sqlite_roles: Roles) -> None:
    done = chatq("api", env={**sqlite_roles.environment, "CHATQ_RATE_LIMIT": "a lot"})
    assert done.returncode == 2
    assert "CHATQ_RATE_LIMIT is 'a lot': from 1 to 1000000 messages a second, minute or hour are needed" in done.stderr
