"""Jobs as they lie in Redis: chatq's own, those of plain RQ clients, and what is neither."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

import pytest

from chatq.domain.ids import is_uuid, lane_of, lane_of_id, new_id
from chatq.domain.jobs import DeleteMessage, EditMessage, SendMessage, UpdateMessageStatus, function_name
from chatq.domain.messages import MessageData
from chatq.errors import InvalidFields, JobRefused, UnregisteredJob
from chatq.queue.codec import content_digest, decode_job, encode_job, message_id_of, prepare

MESSAGE_ID = new_id("general")


def send(**data: Any) -> SendMessage:
    return SendMessage(
        conversation_id="general", message_data=MessageData(**{"content": "hi", "sender_id": "al"} | data)
    )


def rq_data(function: object, kwargs: object, *, instance: object = None, args: object = ()) -> bytes:
    return zlib.compress(json.dumps([function, instance, args, kwargs]).encode())


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sendMessage", "chatq.jobs.send_message"),
        ("updateMessageStatus", "chatq.jobs.update_message_status"),
        ("resizeImage", "chatq.jobs.resize_image"),
        ("resize_image", "chatq.jobs.resize_image"),
        ("to2D", "chatq.jobs.to2_d"),
        ("x", "chatq.jobs.x"),
    ],
)
def test_a_name_is_a_function(name: str, function: str) -> None:
    assert function_name(name) == function


@pytest.mark.parametrize("name", ["", "1st", "a-b", "os.system", "a b", "a\n", "\u00e4", "_x", "a" * 129, "a\ud800"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidFields, match="is no job name"):
        function_name(name)


def test_a_job_of_a_plain_rq_client_is_read() -> None:
    data = rq_data("chatq.jobs.send_message", {"conversationId": "general", "messageData": {"content": "hi"}})
    job = decode_job(data)
    assert job == send(sender_id=None)


def test_our_own_form_is_rqs_json() -> None:
    job = EditMessage(message_id=MESSAGE_ID, content='\u00e4 \u2028 "quoted"')
    function, instance, args, kwargs = json.loads(encode_job(job))
    assert (function, instance, args) == ("chatq.jobs.edit_message", None, [])
    assert kwargs == {"messageId": MESSAGE_ID, "content": '\u00e4 \u2028 "quoted"'}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\x00\xff", "not JSON"),
        (pickle.dumps(("os.system", None, ("true",), {})), "not JSON"),
        (zlib.compress(pickle.dumps(("os.system", None, ("true",), {}))), "not JSON"),
        (b'{"a": 1}', "not a function"),
        (b"[1, null, [], {}]", "not a function"),
        (b'["chatq.jobs.send_message", null, []]', "not a function"),
        (rq_data("chatq.jobs.send_message", {}, args=["x"]), "keyword arguments only"),
        (rq_data("chatq.jobs.send_message", {}, instance={"a": 1}), "keyword arguments only"),
        (rq_data("chatq.jobs.send_message", [1]), "keyword arguments only"),
        (rq_data("chatq.jobs.send_message", {"conversationId": "c"}), "messageData: is missing"),
        (rq_data("chatq.jobs.send_message", {"conversationId": "c", "content": "x"}), "content: is not a known field"),
        (encode_job(send())[:-2], "not JSON"),
        (encode_job(send(content=" ")), "messageData.content: is blank"),
        (encode_job(send(created_at="yesterday")), "messageData.createdAt: must be an RFC 3339 time"),
        (b'["chatq.jobs.send_message",null,[],' + b"[" * 100_000 + b"]", "not JSON"),
        (zlib.compress(b"[" + b" " * (17 << 20) + b"]"), "not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(JobRefused, match=reason):
        decode_job(data)


@pytest.mark.parametrize(
    "function", ["os.system", "chatq.jobs.resize_image", "chatq.errors.ChatqError", "send_message", ""]
)
def test_a_function_that_is_no_message_job_is_not_looked_for(function: str) -> None:
    with pytest.raises(UnregisteredJob, match="was not run"):
        decode_job(rq_data(function, {}))


def test_a_message_without_a_client_id_has_its_jobs_id() -> None:
    one, other = prepare(send(), 8), prepare(send(), 8)
    assert one.job_id == one.message_id != other.message_id
    assert one.digest == ""
    assert message_id_of(send(), one.job_id) == one.message_id


def test_a_message_with_a_client_id_has_the_same_ids_again() -> None:
    one, other = prepare(send(client_message_id="1"), 8), prepare(send(client_message_id="1"), 8)
    assert one.job_id == one.message_id == other.message_id
    assert one.digest == other.digest != ""


def test_what_plain_rq_clients_enqueue_gets_an_id_that_no_client_can_choose() -> None:
    # Given the ids that RQ draws, and one that someone wrote
    for job_id in ("c0ffee00-1234-4abc-8def-0123456789ab", "nightly", new_id("another conversation")):
        made = message_id_of(send(), job_id)
        # Then the message's id is computed from it, in its conversation's lane
        assert is_uuid(made)
        assert made == message_id_of(send(), job_id)
        assert lane_of_id(made, 4096) == lane_of("general", 4096)
        assert made not in {job_id, message_id_of(send(client_message_id=job_id), None)}


def test_jobs_about_a_message_lie_in_its_lane() -> None:
    for job in (
        EditMessage(message_id=MESSAGE_ID, content="x"),
        DeleteMessage(message_id=MESSAGE_ID),
        UpdateMessageStatus(message_id=MESSAGE_ID, status="read"),
    ):
        for client_id in (None, "1"):
            prepared = prepare(job, 4096, client_id=client_id)
            assert prepared.lane == lane_of("general", 4096)
            assert lane_of_id(prepared.job_id, 4096) == prepared.lane
            assert (prepare(job, 4096, client_id=client_id).job_id == prepared.job_id) == (client_id is not None)


def test_the_digest_tells_one_content_from_another() -> None:
    digests = {
        content_digest("a", None),
        content_digest("b", None),
        content_digest("a", {"x": 1}),
        content_digest("a", {"x": 2}),
        content_digest("a", {"y": 1}),
    }
    assert len(digests) == 5
    assert content_digest("a", {}) == content_digest("a", None)
    assert content_digest("a", {"x": 1, "y": 2}) == content_digest("a", {"y": 2, "x": 1})
