"""Clients that mean ill, or are broken: nothing crashes, nothing is left behind, and others notice nothing."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.parts.census import Census
from tests.parts.client import Client, RawSocket, frame
from tests.parts.command import Running
from tests.parts.roles import Roles, fresh, installed
from tests.parts.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what a process holds as Linux tells")

FUZZ = settings(max_examples=80)


class Target(NamedTuple):
    """A system with one process that serves, and a client that must notice nothing."""

    roles: Roles
    api: Running
    census: Census
    bystander: Client
    conversation: str
    """The bystander's."""

    def check_undisturbed(self) -> None:
        """Check that the process lives, and that the bystander still hears what is said."""
        self.roles.send(self.conversation, "still there?")
        assert self.bystander.expect("newMessage")["message"]["content"] == "still there?"
        assert Path(f"/proc/{self.census.pid}").exists()


@pytest.fixture(scope="module")
def running() -> Iterator[Target]:
    with installed() as roles:
        api = roles.start_api()
        roles.start_worker()
        redis_url = roles.environment["REDIS_URL"]
        with Redis.from_url(redis_url, decode_responses=True) as operator, roles.connect() as bystander:
            conversation = fresh()
            bystander.join(conversation)
            yield Target(roles, api, Census(api.pid, operator), bystander, conversation)


@pytest.fixture
def target(running: Target) -> Iterator[Target]:
    """The system; after the test nothing of it may be left behind."""
    running.check_undisturbed()
    before = running.census.held()
    yield running
    running.check_undisturbed()
    running.census.wait_until_back(before)


# --- any bytes, any frames -----------------------------------------------------------------------

_SAID = [
    {"type": "ping"},
    {"type": "auth", "userId": "mallory"},
    {"type": "join", "conversationId": "fuzz"},
    {"type": "join", "conversationId": "fuzz", "since": 0},
    {"type": "leave", "conversationId": "fuzz"},
    {"type": "send", "ref": "r", "conversationId": "fuzz", "messageData": {"content": "hello"}},
    {"type": "typing", "conversationId": "fuzz", "active": True},
]
_payloads = st.one_of(
    st.sampled_from([json.dumps(said).encode() for said in _SAID]),
    st.text(max_size=50).map(str.encode),
    st.binary(max_size=300),
    st.sampled_from([b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"[:n] for n in range(1, 11)]),
    st.integers(60_000, 70_000).map(bytes),
)


@st.composite
def _frames(draw: st.DrawFn) -> bytes:
    """A frame: often a right one, but with anything that can be wrong with it."""
    opcode = draw(st.one_of(st.sampled_from([0, 1, 1, 1, 2, 8, 9, 10]), st.integers(0, 15)))
    masked, fin = draw(st.integers(0, 9)) > 0, draw(st.integers(0, 3)) > 0
    data = bytearray(frame(opcode, draw(_payloads), fin=fin, masked=masked))
    if draw(st.integers(0, 9)) == 0:
        data[0] |= draw(st.sampled_from([0x10, 0x20, 0x40, 0x70]))
    if draw(st.integers(0, 9)) == 0:
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


_streams = st.lists(st.one_of(_frames(), _frames(), st.binary(max_size=40)), max_size=12)


@given(_streams, st.lists(st.integers(1, 400), max_size=20), st.sampled_from(["close", "reset", "wait", "half"]))
@FUZZ
def test_any_frames_in_any_pieces(running: Target, stream: list[bytes], cuts: list[int], end: str) -> None:
    data = b"".join(stream)
    with RawSocket(running.roles.port) as raw, suppress(ConnectionError):
        for cut in cuts:
            raw.socket.sendall(data[:cut])
            data = data[cut:]
        raw.socket.sendall(data)
        if end == "reset":
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif end == "half":
            say_no_more(raw.socket)
            _check_all(raw)
        elif end == "wait":
            # What is incomplete becomes complete, or an error: then there is an end.
            raw.socket.sendall(b"\xff" * 20)
            say_no_more(raw.socket)
            _check_all(raw)
    running.bystander.quiet()


def say_no_more(connection: socket.socket) -> None:
    """End what is sent, unless the server has reset the connection by now."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _check_all(raw: RawSocket) -> None:
    """Check that whatever a server answers until the end is in order."""
    while (found := raw.read()) is not None:
        opcode, payload = found
        assert opcode in {1, 8, 10}
        if opcode == 1:
            assert isinstance(json.loads(payload)["type"], str)
        elif opcode == 8:
            code = int.from_bytes(payload[:2])
            # Its own code comes back to who closes; else it is one that a server may send.
            assert 1000 <= code < 5000
            assert code not in {1004, 1005, 1006, 1011}


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=10,
)
_names = ["type", "ref", "conversationId", "userId", "since", "messageData", "messageId", "status", "active", "token"]
_types = st.sampled_from(["auth", "join", "leave", "send", "status", "typing", "ping", "hello", "newMessage"])
_documents = st.dictionaries(st.sampled_from(_names), st.one_of(_values, st.sampled_from(["c", "alice"])), max_size=6)


@given(st.lists(st.tuples(_documents, st.none() | _types), max_size=20), st.lists(_values, max_size=3))
@FUZZ
def test_any_documents_are_answered_and_the_connection_stays(
    running: Target, documents: list[tuple[dict[str, Any], str | None]], values: list[Any]
) -> None:
    with running.roles.connect() as client:
        for document, kind in documents:
            client.connection.send(json.dumps({**document, "type": kind} if kind else document))
        for value in values:
            client.connection.send(json.dumps(value))
        client.say("leave", conversationId="the-last")
        while (heard := client.hear()) != {"type": "left", "conversationId": "the-last"}:
            assert heard["type"] != "error" or heard["code"] not in {"internal", "database-unavailable"}, heard


def test_fuzz_leaves_nothing_behind(target: Target) -> None:
    """Count once more after both, and a storm of connections that end in every way."""
    grown = [target.census.resident()]
    for _ in range(3):
        with ExitStack() as stack:
            for number in range(300):
                raw = stack.enter_context(RawSocket(target.roles.port))
                raw.say("auth", userId=f"mallory-{number}")
                raw.say("join", conversationId=f"storm-{number % 30}", since=0)
                if number % 4 == 0:
                    raw.socket.sendall(b"\x81\xfe\xff")
                elif number % 4 == 1:
                    raw.send(8, struct.pack("!H", 1000))
                elif number % 4 == 2:
                    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: not any("storm" in channel for channel in target.census.held().channels))
        grown.append(target.census.resident())
    # Each of 600 connections would have left 10 KB at least.
    assert grown[-1] - grown[1] < 4, grown


# --- floods --------------------------------------------------------------------------------------


def test_flood_of_pings_that_is_read_is_answered(target: Target) -> None:
    with RawSocket(target.roles.port) as raw:
        raw.read()
        for start in range(0, 20_000, 500):
            raw.socket.sendall(b"".join(frame(9, b"%d" % number) for number in range(start, start + 500)))
            for number in range(start, start + 500):
                assert raw.read() == (10, b"%d" % number)


def test_flood_of_pings_that_is_not_read_ends_that_connection_alone(target: Target) -> None:
    flood = b"".join(frame(9, b"x" * 125) for _ in range(500))
    with RawSocket(target.roles.port, receive_buffer=4096) as raw:
        raw.socket.settimeout(10)
        with suppress(ConnectionError, TimeoutError):
            # Until the server takes no more, or ends it.
            for _ in range(400):
                raw.socket.sendall(flood)
        target.bystander.quiet()
        raw.socket.settimeout(PATIENCE_SECONDS)
        found = raw.read()
        while found is not None and found[0] in {1, 10}:
            found = raw.read()
        assert found is None or (found[0], found[1][:2]) == (8, struct.pack("!H", 4508))


def test_huge_control_frame_is_refused_before_it_is_there(target: Target) -> None:
    for opcode in (8, 9, 10):
        with RawSocket(target.roles.port) as raw:
            raw.read()
            # Its length says a gigabyte; not a byte of that follows.
            raw.socket.sendall(bytes((0x80 | opcode, 0xFF)) + (1 << 30).to_bytes(8) + b"mask")
            opcode, payload = raw.read() or (0, b"")
            assert (opcode, payload[:2]) == (8, struct.pack("!H", 1002))


def test_huge_frame_is_refused_before_it_is_there(target: Target) -> None:
    for size in (1 << 20, 1 << 62):
        with RawSocket(target.roles.port) as raw:
            raw.read()
            raw.socket.sendall(b"\x81\xff" + size.to_bytes(8) + b"mask")
            opcode, payload = raw.read() or (0, b"")
            assert (opcode, payload[:2]) == (8, struct.pack("!H", 4413))


def test_endless_empty_fragments_are_not_kept(target: Target) -> None:
    before = target.census.resident()
    fragments = frame(0, b"", fin=False) * 5_000
    with RawSocket(target.roles.port) as raw:
        raw.read()
        raw.send(1, b"", fin=False)
        for _ in range(60):
            raw.socket.sendall(fragments)
        raw.send(0, b'{"type":"ping"}')
        assert raw.read() == (1, b'{"type":"pong","seqs":{}}')
        assert target.census.resident() - before < 4


@pytest.mark.slow
def test_ten_thousand_joins_on_one_socket(target: Target) -> None:
    count = 10_000
    with RawSocket(target.roles.port) as raw:
        raw.socket.settimeout(PATIENCE_SECONDS)
        raw.read()
        for start in range(0, count, 500):
            raw.socket.sendall(b"".join(_join(f"many-{number}") for number in range(start, start + 500)))
            for number in range(start, start + 500):
                _, payload = raw.read() or (0, b"")
                assert json.loads(payload)["conversationId"] == f"many-{number}"
            target.bystander.quiet()
        # Each is followed.
        target.roles.send("many-9999", "there")
        _, payload = raw.read() or (0, b"")
        assert json.loads(payload)["conversationId"] == "many-9999"


def test_storm_of_joins_and_leaves(target: Target) -> None:
    conversation = fresh()
    target.roles.send(conversation, "said 1")
    with ExitStack() as stack:
        steady = stack.enter_context(target.roles.connect())
        steady.join(conversation, since=0)
        assert steady.seqs(1) == [1]
        raws = [stack.enter_context(RawSocket(target.roles.port)) for _ in range(20)]
        leave = frame(1, json.dumps({"type": "leave", "conversationId": conversation}).encode())
        for _ in range(10):
            for raw in raws:
                raw.socket.sendall((_join(conversation, since=0) + leave) * 20)
            target.roles.send(conversation, "said on")
        for raw in raws:
            raw.say("ping")
            while json.loads((raw.read() or (0, b"{}"))[1])["type"] != "pong":
                pass
        assert steady.seqs(10) == list(range(2, 12))
        # Who has left hears nothing.
        target.roles.send(conversation, "said at last")
        assert steady.seqs(1) == [12]
        for raw in raws:
            raw.say("ping")
            assert raw.read() == (1, b'{"type":"pong","seqs":{}}')


def test_of_joins_and_leaves_the_last_counts(target: Target) -> None:
    conversations = [fresh() for _ in range(10)]
    leaves = {name: frame(1, json.dumps({"type": "leave", "conversationId": name}).encode()) for name in conversations}
    with ExitStack() as stack:
        # Nobody else follows them: each time all subscribe and unsubscribe.
        raws = [stack.enter_context(RawSocket(target.roles.port)) for _ in conversations]
        for number, (raw, name) in enumerate(zip(raws, conversations, strict=True)):
            raw.socket.sendall((_join(name) + leaves[name]) * 50 + (_join(name) if number % 2 else b""))
        for raw in raws:
            raw.say("ping")
            while json.loads((raw.read() or (0, b"{}"))[1])["type"] != "pong":
                pass
        for name in conversations:
            target.roles.store(name, "hello")
        for number, raw in enumerate(raws):
            if number % 2:
                assert json.loads((raw.read() or (0, b""))[1])["type"] == "newMessage"
            raw.say("leave", conversationId="another")
            assert json.loads((raw.read() or (0, b""))[1])["type"] == "left"


def _join(conversation: str, **more: object) -> bytes:
    return frame(1, json.dumps({"type": "join", "conversationId": conversation, **more}).encode())


# --- the slow ------------------------------------------------------------------------------------


def test_frames_that_come_byte_by_byte(target: Target) -> None:
    with ExitStack() as stack:
        raws = [stack.enter_context(RawSocket(target.roles.port)) for _ in range(50)]
        said = frame(1, b'{"type":"ping"}')
        for byte in said:
            for raw in raws:
                raw.socket.sendall(bytes([byte]))
            target.bystander.quiet()
        for raw in raws:
            assert json.loads((raw.read() or (0, b""))[1])["type"] == "hello"
            assert raw.read() == (1, b'{"type":"pong","seqs":{}}')


def test_headers_that_come_byte_by_byte_hold_up_nobody(target: Target) -> None:
    head = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX-Slow: " + b"a" * 60
    with ExitStack() as stack:
        slow = [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", target.roles.port), PATIENCE_SECONDS)))
            for _ in range(200)
        ]
        for start in range(0, len(head), 20):
            for each in slow:
                each.sendall(head[start : start + 20])
            target.bystander.quiet()
        with target.roles.connect() as other:
            other.quiet()
        assert target.roles.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 5000,
        b"GET /ws HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\n" + b"X-%d: y\r\n" % 1 * 5000 + b"\r\n",
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + b"\x81\x80",
    ],
    ids=["TLS", "HTTP/2", "zeros", "long header", "many headers", "no key"],
)
def test_what_is_no_handshake_is_refused(target: Target, data: bytes) -> None:
    connecting = closing(socket.create_connection(("127.0.0.1", target.roles.port), PATIENCE_SECONDS))
    with connecting as connection, suppress(ConnectionError):
        connection.sendall(data)
        say_no_more(connection)
        answer = connection.recv(100)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_clients_that_never_read_cost_others_nothing(target: Target) -> None:
    conversation = fresh()
    with ExitStack() as stack:
        # It takes all that comes, however busy the test is.
        quick = stack.enter_context(target.roles.connect(max_queue=None))
        quick.join(conversation)
        hanging = [stack.enter_context(RawSocket(target.roles.port, receive_buffer=4096)) for _ in range(10)]
        for raw in hanging:
            raw.say("join", conversationId=conversation)
        for raw in hanging:
            assert json.loads((raw.read() or (0, b""))[1])["type"] == "hello"
            assert json.loads((raw.read() or (0, b""))[1])["type"] == "joined"
        # When so much is said, at once, so that nobody's time to end is over before the disk has it
        target.roles.import_at_once(target.api, conversation, 300, "x" * 16_000)
        heard = [quick.connection.recv(timeout=PATIENCE_SECONDS) for _ in range(300)]
        # Then who begins to read within some seconds, all of them at once, is told why it ends.
        with ThreadPoolExecutor(len(hanging)) as threads:
            assert set(threads.map(close_code_of, hanging)) == {4508}
        assert [json.loads(event)["seq"] for event in heard] == list(range(1, 301))


def close_code_of(raw: RawSocket) -> int | None:
    """Wait for the end of a connection, whatever events come before it, and return its code, if it was told."""
    found = raw.read()
    while found is not None and found[0] == 1:
        found = raw.read()
    return int.from_bytes(found[1][:2]) if found is not None and found[0] == 8 else None
