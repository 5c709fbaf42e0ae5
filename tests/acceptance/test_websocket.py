"""The websocket, through its front door, on SQLite and Postgres."""

from __future__ import annotations

import itertools
import json
import random
import signal
import struct
import threading
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
import redis
from websockets.sync.client import connect

from chatq.domain.ids import new_id
from chatq.domain.messages import max_document_bytes
from chatq.errors import ExitCode
from chatq.store.failures import have_pending_failures
from tests.acceptance.conftest import ONE_DATABASE
from tests.parts.client import Client, RawSocket, frame
from tests.parts.command import Chatq
from tests.parts.forking import API
from tests.parts.ports import free_port
from tests.parts.postgres import Postgres
from tests.parts.roles import Roles, fresh
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS, until

LIMIT = max_document_bytes(16384)


# --- what is said and answered -------------------------------------------------------------------


def test_greeting_says_how_to_go_on(roles: Roles) -> None:
    with connect(f"ws://127.0.0.1:{roles.port}/ws") as connection:
        hello = json.loads(connection.recv(timeout=PATIENCE_SECONDS))
        assert connection.response is not None
        assert not connection.response.headers.get("Sec-WebSocket-Extensions"), "no compression is agreed to"
    assert hello == {
        "type": "hello",
        "connectionId": hello["connectionId"],
        "heartbeatSeconds": 25,
        "authRequired": False,
    }


def test_message_reaches_everybody_in_the_conversation_and_nobody_else(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as alice, roles.connect() as bob, roles.connect() as stranger:
        alice.say("auth", userId="alice")
        assert alice.expect("authenticated") == {"type": "authenticated", "userId": "alice"}
        for client in (alice, bob):
            assert client.join(conversation) == {
                "type": "joined",
                "conversationId": conversation,
                "seq": 0,
                "recovered": True,
            }
        stranger.join(fresh())

        message = roles.store(conversation, "hello", clientMessageId="m-1")

        for client in (alice, bob):
            assert client.expect("newMessage") == {
                "type": "newMessage",
                "conversationId": conversation,
                "seq": 1,
                "message": message,
            }
        stranger.quiet()


def test_edit_delete_and_status_are_events_with_the_next_numbers(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client:
        client.join(conversation)
        message = roles.store(conversation, "draft")
        path = f"/api/messages/{message['id']}"

        assert client.expect("newMessage")["seq"] == 1
        roles.http.patch(path, json={"content": "final"})
        edited = client.expect("messageEdited")
        assert (edited["seq"], edited["message"]["content"]) == (2, "final")
        roles.http.patch(path, json={"status": "read"}, headers={"X-Chatq-User": "bob"})
        assert client.expect("messageStatus") == {
            "type": "messageStatus",
            "conversationId": conversation,
            "seq": 3,
            "messageId": message["id"],
            "status": "read",
            "userId": "bob",
        }
        roles.http.delete(path)
        assert client.expect("messageDeleted") == {
            "type": "messageDeleted",
            "conversationId": conversation,
            "seq": 4,
            "messageId": message["id"],
        }
        # A second delete has no effect, and so no event.
        roles.http.delete(path)
        roles.send(conversation, "after")
        assert client.expect("newMessage")["seq"] == 5


def test_who_leaves_hears_no_more(roles: Roles) -> None:
    left, kept = fresh(), fresh()
    with roles.connect() as client:
        client.join(left)
        client.join(kept)
        client.say("leave", conversationId=left)
        assert client.expect("left") == {"type": "left", "conversationId": left}
        roles.store(left, "unheard")
        roles.store(kept, "heard")
        assert client.expect("newMessage")["conversationId"] == kept
        client.say("leave", conversationId=fresh())
        client.expect("left")


def test_pong_has_the_newest_number_of_each_joined_conversation(roles: Roles) -> None:
    silent, busy, other = fresh(), fresh(), fresh()
    roles.store_many(busy, 2)
    roles.store_many(other, 1)
    with roles.connect() as client:
        client.say("ping")
        assert client.expect("pong") == {"type": "pong", "seqs": {}}
        client.join(silent)
        client.join(busy)
        client.say("ping")
        assert client.expect("pong")["seqs"] == {silent: 0, busy: 2}


# --- resuming ------------------------------------------------------------------------------------


def test_join_with_since_gives_what_came_after_it_then_what_comes(roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 7)
    with roles.connect() as client:
        joined = client.join(conversation, since=3)
        assert (joined["seq"], joined["recovered"]) == (7, True)
        events = [client.expect("newMessage") for _ in range(4)]
        assert [event["seq"] for event in events] == [4, 5, 6, 7]
        assert events[0]["message"]["content"] == "message 4"
        roles.store_many(conversation, 1)
        assert client.expect("newMessage")["seq"] == 8
    with roles.connect() as client:
        client.join(conversation, since=8)
        client.quiet()


def test_replayed_event_is_the_live_one(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client:
        client.join(conversation)
        roles.store(conversation, "x", metadata={"z": 1, "a": [None, "ä\u2028"]})
        live = client.connection.recv(timeout=PATIENCE_SECONDS)
    with roles.connect() as client:
        client.join(conversation, since=0)
        assert client.connection.recv(timeout=PATIENCE_SECONDS) == live


def test_long_past_comes_whole(roles: Roles) -> None:
    conversation = fresh()
    roles.import_many(conversation, 1700)
    with roles.connect() as client:
        assert client.join(conversation, since=0)["seq"] == 1700
        assert client.seqs(1700) == list(range(1, 1701))
        client.quiet()


def test_since_of_the_future_is_not_recovered(roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 2)
    with roles.connect() as client:
        joined = client.join(conversation, since=3)
        assert (joined["seq"], joined["recovered"]) == (2, False)
        client.quiet()
        roles.store_many(conversation, 1)
        assert client.expect("newMessage")["seq"] == 3
        assert client.join(fresh(), since=1)["recovered"] is False


def test_since_before_what_is_kept_is_not_recovered_in_part(idle_roles: Roles, engine_of: Any) -> None:
    idle_roles.start_api()
    idle_roles.start_worker()
    idle_roles.store_many("c", 5)
    with engine_of(idle_roles).begin() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE seq <= 3")
        connection.exec_driver_sql("UPDATE conversations SET first_seq = 4")
    with idle_roles.connect() as client:
        joined = client.join("c", since=2)
        assert (joined["seq"], joined["recovered"]) == (5, False)
        client.quiet()
        assert client.join("c", since=3)["recovered"] is True
        assert client.seqs(2) == [4, 5]


def test_what_was_replayed_before_is_replayed_as_it_is_now(idle_roles: Roles, engine_of: Any) -> None:
    idle_roles.start_api()
    idle_roles.start_worker()
    first, second = (idle_roles.store("c", content) for content in ("draft", "secret"))
    with idle_roles.connect() as client, idle_roles.connect() as other:
        for _ in range(2):
            client.join("c", since=0)
            assert [client.expect("newMessage")["message"]["content"] for _ in range(2)] == ["draft", "secret"]

        # When an event changes those before it, whether this process hears it live or not
        for path, change in (("first", first), ("second", second)):
            if path == "first":
                idle_roles.http.patch(f"/api/messages/{change['id']}", json={"content": "final"})
                assert client.expect("messageEdited")["seq"] == 3
            else:
                client.say("leave", conversationId="c")
                client.expect("left")
                idle_roles.http.delete(f"/api/messages/{change['id']}")
                until(lambda: idle_roles.state(second["id"]) == "deleted")
            joined = other.join("c", since=0)
            contents = [other.hear() for _ in range(joined["seq"])]
            assert contents[0]["message"]["content"] == "final"
            other.say("leave", conversationId="c")
            other.expect("left")
        assert [event["type"] for event in contents] == ["newMessage", "newMessage", "messageEdited", "messageDeleted"]
        assert contents[1]["message"]["content"] is None

        # And what is not kept any more is not replayed from memory
        other.join("c", since=0)
        assert other.seqs(4) == [1, 2, 3, 4]
        with engine_of(idle_roles).begin() as connection:
            connection.exec_driver_sql("DELETE FROM events WHERE seq <= 2")
            connection.exec_driver_sql("UPDATE conversations SET first_seq = 3")
        assert other.join("c", since=1)["recovered"] is False
        assert other.join("c", since=2)["recovered"] is True
        assert other.seqs(2) == [3, 4]


def test_joining_again_starts_anew(roles: Roles) -> None:
    conversation = fresh()
    roles.store_many(conversation, 3)
    with roles.connect() as client:
        client.join(conversation, since=0)
        assert client.seqs(3) == [1, 2, 3]
        client.join(conversation, since=1)
        assert client.seqs(2) == [2, 3]
        roles.store_many(conversation, 1)
        assert client.seqs(1) == [4]
        client.quiet()


def test_resuming_while_others_write_misses_and_doubles_nothing(roles: Roles) -> None:
    conversation, count = fresh(), 400
    writer = threading.Thread(target=roles.store_many, args=(conversation, count))
    writer.start()
    try:
        with roles.connect() as steady:
            steady.join(conversation, since=0)
            seen = 0
            while seen < count:
                with roles.connect() as restless:
                    restless.join(conversation, since=seen)
                    more = min(random.randint(1, 40), count - seen)
                    assert restless.seqs(more) == list(range(seen + 1, seen + more + 1))
                    seen += more
            assert steady.seqs(count) == list(range(1, count + 1))
    finally:
        writer.join()


def test_every_api_process_delivers(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api("--api-workers", "3")
    sqlite_roles.start_worker()
    with ExitStack() as stack:
        clients = [stack.enter_context(sqlite_roles.connect()) for _ in range(12)]
        for client in clients:
            client.join("c")
        sqlite_roles.store_many("c", 3)
        for client in clients:
            assert client.seqs(3) == [1, 2, 3]


def test_every_api_of_one_redis_delivers_and_takes_over(sqlite_roles: Roles) -> None:
    sqlite_roles.start_worker()
    first = sqlite_roles.start_api()
    port = free_port()
    sqlite_roles.chatq.fork(API, "api", "--port", str(port), env=sqlite_roles.environment).wait_for("listening")
    with sqlite_roles.connect() as here, Client(f"ws://127.0.0.1:{port}/ws") as there:
        there.expect("hello")
        here.join("c")
        there.join("c")
        sqlite_roles.store_many("c", 3)
        assert here.seqs(3) == there.seqs(3) == [1, 2, 3]
        last = sqlite_roles.send("c", "while one goes")
        first.process.terminate()
        assert here.close_code() == 4503
        assert there.seqs(1) == [4]
        # Who was there goes on here, from what it has.
        with Client(f"ws://127.0.0.1:{port}/ws") as moved:
            moved.expect("hello")
            assert moved.join("c", since=3)["recovered"] is True
            assert moved.expect("newMessage")["message"]["id"] == last


# --- trouble with Redis and the database ---------------------------------------------------------


def test_redis_restarts_under_connected_sockets(idle_roles: Roles, valkey: Valkey) -> None:
    idle_roles.start_api()
    idle_roles.start_worker()
    with idle_roles.connect() as client:
        client.auth("alice")
        client.join("c")
        idle_roles.store_many("c", 1)
        assert client.seqs(1) == [1]

        valkey.kill()
        # Nobody is thrown out, and questions are answered.
        client.join("other")
        client.say("ping")
        assert client.expect("pong")["seqs"] == {"c": 1, "other": 0}
        valkey.start()

        until(lambda: idle_roles.post("c", "again").status_code == 202)
        idle_roles.send("other", "first")
        events = [client.expect("newMessage") for _ in range(2)]
        assert {(event["conversationId"], event["seq"]) for event in events} == {("c", 2), ("other", 1)}


def test_joining_while_redis_hangs_waits_for_it_but_not_for_ever(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    sqlite_roles.start_worker()
    with sqlite_roles.connect() as early, sqlite_roles.connect() as late:
        early.join("c")
        sqlite_roles.store_many("c", 2)
        assert early.seqs(2) == [1, 2]
        valkey.send_signal(signal.SIGSTOP)
        late.join("d")
        early.join("d")
        valkey.send_signal(signal.SIGCONT)
        until(lambda: sqlite_roles.post("d", "on").status_code == 202)
        assert early.seqs(1) == late.seqs(1) == [1]
        sqlite_roles.store_many("c", 1)
        assert early.seqs(1) == [3]


def test_events_that_the_bus_lost_are_read_from_the_log(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    sqlite_roles.start_worker()
    operator = valkey.client()
    with sqlite_roles.connect() as client:
        client.join("c")
        for number in itertools.count(1):
            operator.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            sqlite_roles.send("c", f"message {number}")
            assert client.seqs(1) == [number]
            if number == 10:
                break
        client.quiet()
    operator.close()


def test_what_the_bus_brings_twice_is_sent_once(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client, roles.connect() as other:
        client.join(conversation)
        other.join(conversation)
        roles.store_many(conversation, 2)
        assert client.seqs(2) == other.seqs(2) == [1, 2]
        # A repeat, and something of the past: receivers drop what they have.
        bus = redis.Redis.from_url(roles.environment["REDIS_URL"])
        with roles.connect() as reader:
            reader.join(conversation, since=0)
            first = reader.connection.recv(timeout=PATIENCE_SECONDS)
        bus.publish(f"chatq:conversation:{conversation}", first)
        bus.close()
        roles.store_many(conversation, 1)
        assert client.seqs(1) == other.seqs(1) == [3]


def test_database_away_is_told_and_overcome(
    chatq: Chatq, valkey: Valkey, postgres: Postgres, postgres_url: str
) -> None:
    roles = Roles(chatq, valkey.url, postgres_url)
    roles.start_api()
    roles.start_worker()
    database = postgres_url.rpartition("/")[2]
    with roles.connect() as client:
        client.join("c")
        postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        client.say("join", conversationId="d", ref="r-1")
        error = client.expect("error")
        assert (error["code"], error["ref"]) == ("database-unavailable", "r-1")
        client.say("ping")
        assert client.expect("error")["code"] == "database-unavailable"
        postgres.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        client.join("d")
        roles.store_many("c", 1)
        assert client.expect("newMessage")["seq"] == 1
    roles.close()


# --- messages that fail --------------------------------------------------------------------------


def test_sender_alone_learns_at_once_that_a_message_failed(idle_roles: Roles) -> None:
    idle_roles.start_api()
    idle_roles.start_worker()
    with idle_roles.connect() as alice, idle_roles.connect() as bob:
        for client, user in ((alice, "alice"), (bob, "bob")):
            client.auth(user)
            client.quiet()
        message = idle_roles.store("c", "this", clientMessageId="m-1")
        idle_roles.forget(message["id"])

        idle_roles.send("c", "that", clientMessageId="m-1")

        failed = alice.expect("messageFailed")
        assert (failed["messageId"], failed["clientMessageId"]) == (message["id"], "m-1")
        assert "idempotency-mismatch" in failed["reason"]
        bob.quiet()


def test_sender_who_was_away_learns_it_with_the_next_auth(idle_roles: Roles, engine_of: Any) -> None:
    idle_roles.start_api()
    ids = [new_id("c") for _ in range(150)]
    rows = ", ".join(f"('{i}', '{i}', 'c', 'alice', 'too sad', '2026-01-01T00:00:00.000Z')" for i in ids)
    with engine_of(idle_roles).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO failures (job_id, message_id, conversation_id, sender_id, reason, created_at) VALUES " + rows
        )
    # Given somebody who is told, and gone before they have read it
    with RawSocket(idle_roles.port) as raw:
        raw.say("auth", userId="alice")
        while b"messageFailed" not in (raw.read() or (0, b""))[1]:
            pass
        raw.say("ping")
        while b"pong" not in (raw.read() or (0, b""))[1]:
            pass
    with idle_roles.connect() as client:
        client.auth("bob")
        client.quiet()
        client.auth("alice")
        failed = [client.expect("messageFailed") for _ in ids]
        assert {frame["messageId"] for frame in failed} == set(ids)
        assert failed[0] == {
            "type": "messageFailed",
            "messageId": failed[0]["messageId"],
            "clientMessageId": None,
            "reason": "too sad",
        }
        until(lambda: not have_pending_failures(engine_of(idle_roles), ["alice"])["alice"])
        client.quiet()
        client.auth("alice")
        client.quiet()
    # Told or not, the message has failed.
    assert idle_roles.state(ids[0]) == "failed"


# --- bad input -----------------------------------------------------------------------------------


@ONE_DATABASE
@pytest.mark.parametrize(
    ("message", "code", "ref"),
    [
        (b'{"type": "ping"}', "malformed-json", None),
        ("", "malformed-json", None),
        ("{", "malformed-json", None),
        ("nonsense", "malformed-json", None),
        ('{"type": "join", "conversationId": "\\ud800"}', "malformed-json", None),
        ('{"type": "send", "messageData": {"content": "half a smile: \\ud83d"}, "ref": "é"}', "malformed-json", "é"),
        ('{"type": "send", "ref": "r", "messageData": {"metadata": {"n": NaN}}}', "malformed-json", "r"),
        ('{"type": "join", "ref": "r\\ud800"}', "malformed-json", "r"),
        ("[" * 5000, "malformed-json", None),
        ("[]", "invalid-fields", None),
        ('"ping"', "invalid-fields", None),
        ("null", "invalid-fields", None),
        ("{}", "invalid-fields", None),
        ('{"type": 1}', "unknown-type", None),
        ('{"type": ["join"], "ref": "r"}', "unknown-type", "r"),
        ('{"type": "shout", "ref": "r"}', "unknown-type", "r"),
        ('{"type": "newMessage"}', "unknown-type", None),
        ('{"type": "join"}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "a b", "ref": "r"}', "invalid-fields", "r"),
        ('{"type": "join", "conversationId": "c", "since": -1}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "since": 1.5}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "since": "1"}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "since": true}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "since": 1e300}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "since": 99999999999999999999}', "invalid-fields", None),
        ('{"type": "join", "conversationId": "c", "more": 1}', "invalid-fields", None),
        ('{"type": "leave", "conversationId": 1}', "invalid-fields", None),
        ('{"type": "auth"}', "invalid-fields", None),
        ('{"type": "auth", "userId": ""}', "invalid-fields", None),
        ('{"type": "auth", "userId": "a\\u0000"}', "invalid-fields", None),
        ('{"type": "ping", "ref": 1}', "invalid-fields", None),
        ('{"type": "shout", "ref": "' + "r" * 500 + '"}', "unknown-type", "r" * 128),
    ],
)
def test_bad_frame_is_answered_and_the_connection_goes_on(
    roles: Roles, message: str | bytes, code: str, ref: str | None
) -> None:
    with roles.connect() as client:
        client.connection.send(message)
        error = client.expect("error")
        assert error["code"] == code
        assert error["detail"]
        assert error.get("ref") == ref
        client.quiet()


@ONE_DATABASE
def test_invalid_fields_are_named(roles: Roles) -> None:
    with roles.connect() as client:
        client.say("join", conversationId="", since=-1, extra=1)
        detail = client.expect("error")["detail"]
        assert all(name in detail for name in ("conversationId", "since", "extra"))


@ONE_DATABASE
@pytest.mark.parametrize("binary", [False, True])
def test_huge_message_closes_with_4413(roles: Roles, binary: bool) -> None:
    with roles.connect() as client:
        client.connection.send(b"x" * LIMIT if binary else "x" * LIMIT)
        assert client.expect("error")["code"] == "malformed-json"
        client.connection.send(b"x" * (LIMIT + 1) if binary else "x" * (LIMIT + 1))
        assert client.close_code() == 4413


@ONE_DATABASE
def test_endless_message_in_fragments_closes_with_4413(roles: Roles) -> None:
    with RawSocket(roles.port) as raw:
        raw.read()
        raw.send(1, b"x" * 60000, fin=False)
        for _ in range(6):
            raw.send(0, b"x" * 60000, fin=False)
        opcode, payload = raw.read() or (0, b"")
        assert (opcode, struct.unpack("!H", payload[:2])[0]) == (8, 4413)


@ONE_DATABASE
def test_message_in_fragments_with_pings_between_is_understood(roles: Roles) -> None:
    with RawSocket(roles.port) as raw:
        raw.read()
        raw.send(1, b'{"type": "pi', fin=False)
        raw.send(9, b"are you there?")
        raw.send(0, b"", fin=False)
        raw.send(0, b'ng"}')
        assert raw.read() == (10, b"are you there?")
        assert raw.read() == (1, b'{"type":"pong","seqs":{}}')


@ONE_DATABASE
def test_letters_cut_between_fragments_are_understood(roles: Roles) -> None:
    text = '{"type":"join","conversationId":"ä"}'.encode()
    with RawSocket(roles.port) as raw:
        raw.read()
        cut = text.index("ä".encode()) + 1
        raw.send(1, text[:cut], fin=False)
        raw.send(0, text[cut:])
        _, answer = raw.read() or (0, b"")
        assert json.loads(answer)["code"] == "invalid-fields"


@ONE_DATABASE
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"\xff\xfe"), 1007),
        (frame(1, b'{"type":"ping"}', masked=False), 1002),
        (frame(3, b""), 1002),
        (frame(11, b""), 1002),
        (frame(0, b"continues nothing"), 1002),
        (frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(9, b"", fin=False), 1002),
        (b"\xf1\x80\0\0\0\0", 1002),
        (frame(8, b"\x03"), 1002),
        (frame(8, struct.pack("!H", 1005)), 1002),
        (b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", 1002),
    ],
    ids=[
        "not utf-8", "unmasked", "reserved", "reserved control", "continuation first", "new message inside",
        "long control", "fragmented control", "reserved bits", "short close", "close code", "length",
    ],
)  # fmt: skip
def test_broken_protocol_closes_that_connection_alone(roles: Roles, data: bytes, code: int) -> None:
    with roles.connect() as bystander, RawSocket(roles.port) as raw:
        raw.read()
        raw.socket.sendall(data)
        opcode, payload = raw.read() or (0, b"")
        assert (opcode, struct.unpack("!H", payload[:2])[0]) == (8, code)
        raw.socket.sendall(frame(8, payload[:2]))
        bystander.quiet()


@ONE_DATABASE
def test_close_is_answered_in_kind(roles: Roles) -> None:
    with RawSocket(roles.port) as raw:
        raw.read()
        raw.send(8, struct.pack("!H", 1001) + b"bye")
        assert raw.read() == (8, struct.pack("!H", 1001))
        assert raw.read() is None


def test_client_that_vanishes_leaves_nothing_behind(sqlite_roles: Roles, valkey: Valkey) -> None:
    sqlite_roles.start_api()
    operator = valkey.client()
    for _ in range(20):
        raw = RawSocket(sqlite_roles.port)
        raw.read()
        raw.say("auth", userId="alice")
        raw.say("join", conversationId=fresh())
        for _ in range(2):
            raw.read()
        raw.socket.close()
    until(lambda: operator.pubsub_channels() == [], what="all channels left")
    operator.close()


@ONE_DATABASE
def test_page_of_another_origin_is_closed_with_4403(roles: Roles) -> None:
    for origin in ("https://evil.example", "null"):
        with Client(f"ws://127.0.0.1:{roles.port}/ws", origin=origin) as client:
            assert client.close_code() == 4403
    with roles.connect(origin=roles.url) as client:
        client.quiet()


@ONE_DATABASE
def test_request_that_is_no_handshake_is_told_so(roles: Roles) -> None:
    answer = roles.http.get("/ws")
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert answer.json()["code"] == "upgrade-required"
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    answer = roles.http.get("/ws", headers={**upgrade, "Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "x"})
    assert (answer.status_code, answer.json()["code"]) == (426, "upgrade-required")
    answer = roles.http.get("/ws", headers={**upgrade, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    answer = roles.http.get("/ws", headers={**upgrade, "Host": "rebound.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-refused")


# --- slow clients, and the end -------------------------------------------------------------------


def test_client_that_does_not_read_is_closed_and_holds_up_nobody(sqlite_roles: Roles) -> None:
    api = sqlite_roles.start_api()
    sqlite_roles.start_worker()
    count, content = 400, "x" * 16000
    with (
        # It takes all that comes, however busy the test is.
        sqlite_roles.connect(max_queue=None) as quick,
        RawSocket(sqlite_roles.port, receive_buffer=4096) as slow,
    ):
        quick.join("c")
        slow.read()
        slow.say("join", conversationId="c")
        slow.read()
        # Who begins to read within some seconds after the end is told why: so long the disk may take, but not memory.
        sqlite_roles.import_at_once(api, "c", count, content)
        heard = [quick.connection.recv(timeout=PATIENCE_SECONDS) for _ in range(count)]

        seqs, frame = [], slow.read()
        while frame is not None and frame[0] == 1:
            seqs.append(json.loads(frame[1])["seq"])
            frame = slow.read()

        assert frame is not None
        assert frame[0] == 8
        assert struct.unpack("!H", frame[1][:2])[0] == 4508
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) < count
        assert [json.loads(event)["seq"] for event in heard] == list(range(1, count + 1))
    with sqlite_roles.connect() as again:
        again.join("c", since=len(seqs))
        assert again.seqs(count - len(seqs)) == list(range(len(seqs) + 1, count + 1))


def test_long_past_waits_for_a_slow_reader(sqlite_roles: Roles) -> None:
    sqlite_roles.start_api()
    sqlite_roles.start_worker()
    sqlite_roles.import_many("c", 300, "x" * 8000)
    with RawSocket(sqlite_roles.port, receive_buffer=4096) as slow, sqlite_roles.connect() as other:
        slow.read()
        slow.say("join", conversationId="c", since=0)
        other.join("c")
        sqlite_roles.store_many("c", 5)
        assert other.seqs(5) == [301, 302, 303, 304, 305]
        seqs: list[int] = []
        while len(seqs) < 305:
            opcode, payload = slow.read() or (0, b"")
            assert opcode == 1, payload
            event = json.loads(payload)
            if event["type"] == "newMessage":
                seqs.append(event["seq"])
        assert seqs == list(range(1, 306))


def test_burst_closes_nobody_who_reads(roles: Roles) -> None:
    conversation = fresh()
    with roles.connect() as client:
        client.join(conversation)
        writer = threading.Thread(target=roles.import_many, args=(conversation, 600, "x" * 15000))
        writer.start()
        assert client.seqs(600) == list(range(1, 601))
        writer.join()
        client.quiet()


def test_sigterm_sends_clients_away_and_ends_with_0(sqlite_roles: Roles) -> None:
    api = sqlite_roles.start_api()
    with sqlite_roles.connect() as joined, sqlite_roles.connect() as silent:
        joined.join(f"c-{uuid4().hex}")
        api.process.terminate()
        assert joined.close_code() == 4503
        assert silent.close_code() == 4503
        assert api.wait() == ExitCode.DONE
