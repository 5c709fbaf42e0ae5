"""The wire format: whatever comes is a value or a clear refusal, and what is written is read back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from chatq.domain.events import MessageEdited, NewMessage, from_payload, to_payload
from chatq.domain.jobs import (
    MESSAGE_JOBS,
    DeleteMessage,
    EditMessage,
    MessageJob,
    SendMessage,
    UpdateMessageStatus,
    function_name,
    read_message_job,
)
from chatq.domain.messages import Message, MessageData, find_content_problem
from chatq.domain.wire import decode, encode, parse
from chatq.errors import ChatqError, InvalidFields
from chatq.queue.codec import decode_job, encode_job

T = TypeVar("T")

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+~-"

client_ids = st.text(ALPHABET, min_size=1, max_size=128)
message_ids = st.uuids().map(str)
texts = st.text(st.characters(exclude_categories=["Cs"]))
contents = texts.filter(lambda text: find_content_problem(text) is None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
rfc_times = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")

sends = st.builds(
    SendMessage,
    conversation_id=client_ids,
    expires_at=st.none() | rfc_times,
    message_data=st.builds(
        MessageData,
        content=contents,
        sender_id=st.none() | client_ids,
        client_message_id=st.none() | client_ids,
        metadata=st.none() | st.dictionaries(texts, json_values, max_size=3),
        created_at=st.none() | rfc_times,
    ),
)
jobs: st.SearchStrategy[MessageJob] = st.one_of(
    sends,
    st.builds(EditMessage, message_id=message_ids, content=contents, conversation_id=st.none() | client_ids),
    st.builds(DeleteMessage, message_id=message_ids, conversation_id=st.none() | client_ids),
    st.builds(
        UpdateMessageStatus,
        message_id=message_ids,
        status=st.sampled_from(["delivered", "read"]),
        user_id=st.none() | client_ids,
    ),
)

fields = st.sampled_from([
    "conversationId", "messageData", "content", "senderId", "clientMessageId", "metadata", "createdAt", "messageId",
    "status", "userId", "expiresAt", "x", "", "a.b",
])  # fmt: skip
near_misses = st.recursive(
    json_values | st.sampled_from(["read", "c", "2026-01-02T03:04:05Z", "01a20baf-16b4-7d0f-ad8f-f976edb1b927"]),
    lambda inner: st.dictionaries(fields, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=16,
)
names = st.sampled_from(sorted(MESSAGE_JOBS))


@given(jobs)
def test_what_is_written_is_read_back(job: MessageJob) -> None:
    kind = type(job)
    assert decode(encode(job), kind) == job
    assert b"\n" not in encode(job)
    assert decode_job(encode_job(job)) == job


@given(jobs)
def test_a_job_as_a_plain_rq_client_writes_it_is_the_same_job(job: MessageJob) -> None:
    # Given the job in the form of RQ's JSON serializer, which escapes and compresses
    name = next(name for name, kind in MESSAGE_JOBS.items() if kind is type(job))
    plain = json.dumps([function_name(name), None, [], json.loads(encode(job))])
    # Then it is read as what it is, compressed or not
    assert decode_job(zlib.compress(plain.encode())) == job
    assert decode_job(plain.encode()) == job


@given(near_misses, names)
def test_any_json_is_a_value_or_is_refused_by_fields_that_exist(document: Any, name: str) -> None:
    answer = _answer(lambda: decode(json.dumps(document), MESSAGE_JOBS[name]))
    if isinstance(answer, InvalidFields):
        assert answer.problems
        for problem in answer.problems:
            assert problem.problem
            assert_path(document, problem.field, missing=problem.problem == "is missing")
    else:
        assert isinstance(answer, MESSAGE_JOBS[name])


@given(near_misses, names)
def test_any_data_for_a_job_are_read_or_refused(document: Any, name: str) -> None:
    answer = _answer(lambda: read_message_job(name, document))
    if isinstance(answer, ChatqError):
        assert answer.detail
    else:
        assert decode_job(encode_job(answer)) == answer


@given(st.binary() | texts.map(str.encode) | st.builds(lambda a, b: encode(a)[:b], json_values, st.integers(0, 50)))
def test_any_bytes_are_a_document_or_are_refused(data: bytes) -> None:
    answer = _answer(lambda: parse(data))
    if isinstance(answer, ChatqError):
        assert answer.code == "malformed-json"
    else:
        assert answer == json.loads(data)


@given(st.binary())
def test_any_bytes_that_stand_in_redis_for_a_job_are_a_job_or_are_refused(data: bytes) -> None:
    beginning = encode_job(DeleteMessage(message_id="x"))[:-1]
    for stored in (data, zlib.compress(data), beginning + data):
        answer = _answer(lambda stored=stored: decode_job(stored))  # type: ignore[misc]  # a default binds it
        assert not isinstance(answer, ChatqError) or answer.detail


@given(st.text(), st.none() | texts, st.sampled_from(["sent", "delivered", "read"]), st.integers(1))
def test_a_stored_event_is_read_back(id_: str, content: str | None, status: str, seq: int) -> None:
    message = Message(
        id="i",
        conversation_id="c",
        seq=seq,
        sender_id="a",
        client_message_id=None,
        content=content,
        metadata=None,
        status=status,
        created_at="2026-01-02T03:04:05.678Z",
        persisted_at="2026-01-02T03:04:05.678Z",
        edited_at=None,
        deleted_at=None,
    )
    for event in (
        NewMessage(conversation_id="c", seq=seq, message=message),
        MessageEdited(conversation_id="c", seq=seq, message=message),
    ):
        assert from_payload(to_payload(event)) == event
        assert "\n" not in to_payload(event)


def assert_path(document: Any, path: str, *, missing: bool) -> None:
    """Check that ``path`` leads to something in ``document``, or, if that is missing, to where it belongs."""
    if not path:
        return
    for way in _ways(document, path):
        if way is _NOTHING and missing:
            return
        if way is not _NOTHING and not missing:
            return
    raise AssertionError(f"{path!r} is not in {document!r}")


def _answer(read: Callable[[], T]) -> T | ChatqError:
    try:
        return read()
    except ChatqError as error:
        return error


_NOTHING = object()


def _ways(value: Any, path: str) -> list[Any]:
    # A name may contain a dot itself.
    if not isinstance(value, dict):
        return []
    found: list[Any] = [value[path]] if path in value else [_NOTHING]
    for at, character in enumerate(path):
        if character == "." and path[:at] in value:
            found += _ways(value[path[:at]], path[at + 1 :])
    return found
