"""The wire format: what is decoded, what is refused, and in which words."""

from __future__ import annotations

import json

import pytest

from chatq.domain.jobs import EditMessage, SendMessage, UpdateMessageStatus, read_message_job
from chatq.domain.messages import MAX_METADATA_DEPTH, check_size
from chatq.domain.wire import Wire, decode, encode, parse
from chatq.errors import ChatqError, InvalidFields, MalformedJson, TooLarge
from chatq.web.batch import MessageBatch
from chatq.web.conversations import NewConversation

MESSAGE_ID = "01a20baf-16b4-7d0f-ad8f-f976edb1b927"


def problems(kind: type[Wire], document: object) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        decode(json.dumps(document), kind)
    return {problem.field: problem.problem for problem in caught.value.problems}


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def test_every_field_that_is_wrong_is_named_at_once() -> None:
    # Given a document with one fault of each kind
    document = {
        "conversationId": "not allowed!",
        "colour": "red",
        "messageData": {"content": " \n ", "senderId": 7, "clientMessageId": "x" * 129, "priority": "high"},
    }
    # Then all of them are named, by path and in words
    assert problems(SendMessage, document) == {
        "conversationId": "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ + ~ -",
        "colour": "is not a known field",
        "messageData.content": "is blank",
        "messageData.senderId": "expected `str | null`, got `int`",
        "messageData.clientMessageId": "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ + ~ -",
        "messageData.priority": "is not a known field",
    }


def test_elements_of_a_list_are_named_by_their_places() -> None:
    words = "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ + ~ -"
    assert problems(NewConversation, {"members": ["ann", "x" * 129, "b b"]}) == {"members.1": words, "members.2": words}
    too_many = problems(NewConversation, {"members": ["x" * 129] * 1001})
    assert too_many == {"members": "must be a list of at most 1000 ids of users"}
    assert problems(MessageBatch, {"messages": [{}] * 1001}) == {"messages": "must be a list of 1 to 1000 messages"}
    assert problems(MessageBatch, {"messages": [{}], "colour": "red"}) == {"colour": "is not a known field"}


def test_missing_fields_are_named() -> None:
    assert problems(SendMessage, {}) == {"conversationId": "is missing", "messageData": "is missing"}
    assert problems(SendMessage, {"conversationId": "c", "messageData": {}}) == {"messageData.content": "is missing"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is blank"),
        ("\t\u2003\u00a0\r\n", "is blank"),
        ("\u0000", "contains a NUL character"),
        ("before\u0000after", "contains a NUL character"),
    ],
)
def test_content_that_cannot_be_used_is_refused_in_words(content: str, problem: str) -> None:
    assert problems(EditMessage, {"messageId": MESSAGE_ID, "content": content}) == {"content": problem}


@pytest.mark.parametrize("content", ["0", "\u200b", "line\nbreak", "\ufeff", "\U0001f9d1\u200d\U0001f680", "\x01"])
def test_any_other_content_is_taken_as_it_is(content: str) -> None:
    job = decode(json.dumps({"messageId": MESSAGE_ID, "content": content}), EditMessage)
    assert job.content == content


@pytest.mark.parametrize(
    "message_id",
    [
        "",
        "1",
        MESSAGE_ID.upper(),
        MESSAGE_ID.replace("-", ""),
        "{" + MESSAGE_ID + "}",
        MESSAGE_ID + "\n",
        " " + MESSAGE_ID,
        MESSAGE_ID[:-1] + "g",
        MESSAGE_ID[:-1] + "\u0661",
    ],
)
def test_an_id_that_is_no_canonical_uuid_is_refused(message_id: str) -> None:
    found = problems(EditMessage, {"messageId": message_id, "content": "x"})
    assert found == {"messageId": "must be a UUID in lower case with hyphens"}


@pytest.mark.parametrize("status", ["sent", "READ", "seen", "", None, 1])
def test_a_status_that_nobody_can_set_is_refused(status: object) -> None:
    assert set(problems(UpdateMessageStatus, {"messageId": MESSAGE_ID, "status": status})) == {"status"}


@pytest.mark.parametrize("document", [b"[]", b'"text"', b"null", b"1", b"true"])
def test_json_that_is_no_object_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidFields):
        decode(document, SendMessage)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\udc00\\ud800"}',
        b"\x00",
        b"[" * 100_000,
        pytest.param('{"a": "\ud800"}', id="text with half a pair"),
    ],
)
def test_what_is_no_json_is_refused_as_malformed(document: bytes | str) -> None:
    with pytest.raises(MalformedJson):
        parse(document)
    with pytest.raises(MalformedJson):
        decode(document, SendMessage)


def test_half_a_surrogate_pair_is_named_as_such() -> None:
    with pytest.raises(MalformedJson, match="half a surrogate pair"):
        parse(b'{"a": "\\uD800"}')


@pytest.mark.parametrize("levels", [1, MAX_METADATA_DEPTH])
def test_metadata_may_be_nested(levels: int) -> None:
    job = read_message_job("sendMessage", {"conversationId": "c", "content": "x", "metadata": nested(levels)})
    assert decode(encode(job), SendMessage) == job


@pytest.mark.parametrize("levels", [MAX_METADATA_DEPTH + 1, 500])
def test_metadata_nested_too_deeply_are_refused(levels: int) -> None:
    data = {"conversationId": "c", "messageData": {"content": "x", "metadata": nested(levels)}}
    with pytest.raises(InvalidFields, match=r"messageData.metadata: is nested more than 64 levels deep"):
        read_message_job("sendMessage", data)
    with pytest.raises(InvalidFields, match="nested"):
        check_size("x", nested(levels), 100)


def test_no_depth_of_nesting_ends_in_anything_but_an_answer() -> None:
    # Given documents around the depth at which the decoder itself gives up, in fields of both kinds
    starts = b'{"conversationId":"c","messageData":{"content":"x","metadata":{"a":', b'{"messageData":'
    refused = 0
    for levels in range(900, 1100):
        for start in starts:
            document = start + b"[" * levels + b"]" * levels + b"}" * start.count(b"{")
            # Then each is decoded or refused
            try:
                decode(document, SendMessage)
            except ChatqError:
                refused += 1
    assert refused >= 200


def test_numbers_beyond_64_bits_in_metadata_survive() -> None:
    document = b'{"conversationId":"c","messageData":{"content":"x","metadata":{"big":123456789012345678901234567890}}}'
    assert b"123456789012345678901234567890" in encode(decode(document, SendMessage))


def test_sizes_are_counted_in_bytes() -> None:
    check_size("\u00e4" * 8, None, 16)
    with pytest.raises(TooLarge, match="content has 18 bytes; at most 16"):
        check_size("\u00e4" * 9, None, 16)
    check_size("x", {"a": "b" * (16384 - 8)}, 16)
    with pytest.raises(TooLarge, match="metadata has 16385 bytes"):
        check_size("x", {"a": "b" * (16384 - 7)}, 16)


def test_the_fields_of_a_message_may_stand_flat() -> None:
    # Given the same message flat and nested
    inner = {"content": "hi", "senderId": "alice", "clientMessageId": "1", "createdAt": "2026-01-02T03:04:05+01:00"}
    flat = read_message_job("sendMessage", {"conversationId": "c", "expiresAt": "2026-01-02T03:04:05Z", **inner})
    nested_ = {"conversationId": "c", "expiresAt": "2026-01-02T03:04:05Z", "messageData": inner}
    # Then they are the same, and what is wrong is named as it was written
    assert flat == read_message_job("sendMessage", nested_)
    with pytest.raises(InvalidFields) as caught:
        read_message_job("sendMessage", {"senderId": "", "content": ""})
    assert {p.field for p in caught.value.problems} == {"conversationId", "senderId", "content"}


@pytest.mark.parametrize("data", [None, [], "text", 5, [["conversationId", "c"]]])
def test_data_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(InvalidFields):
        read_message_job("sendMessage", data)
