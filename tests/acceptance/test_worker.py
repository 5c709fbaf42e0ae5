"""Message jobs, one after the other and many at once: what they leave in the database, on both kinds of it."""

from __future__ import annotations

import json
from typing import Any

from chatq.domain.clock import is_time, normal
from chatq.domain.ids import computed_id
from chatq.queue import keys
from tests.parts.installation import Installation
from tests.parts.lane import message


def status_of(installation: Installation, message_id: str) -> str:
    return str(installation.one("SELECT status FROM messages WHERE id = :id", id=message_id).status)


def marks(installation: Installation, user: str) -> tuple[int, int]:
    query = "SELECT delivered_seq, read_seq FROM members WHERE user_id = :user"
    row = installation.one(query, user=user)
    return row.delivered_seq, row.read_seq


def last_message(installation: Installation) -> tuple[str | None, str | None, int]:
    row = installation.one("SELECT last_message_id, last_message, last_seq FROM conversations")
    return row.last_message_id, row.last_message, row.last_seq


def test_a_message_becomes_rows_and_an_event(installation: Installation) -> None:
    # Given a message with everything that a sender may say
    metadata = {"mood": "\u263a", "nested": {"list": [1, 2.5, None, "\0"]}}
    message_id = installation.send(
        "hello", clientMessageId="1", metadata=metadata, createdAt="2018-05-02T21:38:15+02:00"
    )
    # When a worker does what is there
    installation.work_off()
    # Then the message is stored as it was said
    row = installation.one("SELECT * FROM messages")
    assert row.id == message_id == computed_id("general", "alice", "1")
    assert (row.conversation_id, row.seq, row.sender_id, row.client_message_id) == ("general", 1, "alice", "1")
    assert (row.content, row.status, row.edited_at, row.deleted_at) == ("hello", "sent", None, None)
    assert json.loads(row.metadata) == metadata
    # And the event is the frame that everyone gets
    (frame,) = installation.frames()
    stored = frame["message"]
    assert frame == {"type": "newMessage", "conversationId": "general", "seq": 1, "message": stored}
    assert is_time(stored["persistedAt"])
    assert stored == {
        "id": message_id,
        "conversationId": "general",
        "seq": 1,
        "senderId": "alice",
        "clientMessageId": "1",
        "content": "hello",
        "metadata": metadata,
        "status": "sent",
        "createdAt": "2018-05-02T19:38:15.000Z",
        "persistedAt": normal(stored["persistedAt"]),
        "editedAt": None,
        "deletedAt": None,
    }
    # And the conversation and its first member are there
    assert last_message(installation) == (message_id, "hello", 1)
    assert installation.one("SELECT user_id, role FROM members") == ("alice", "member")
    # And nothing is left in Redis but the memory of the client's id
    assert installation.waiting() == installation.started() == 0
    assert installation.redis.exists(keys.job(message_id)) == 0


def test_messages_are_numbered_in_the_order_in_which_they_were_accepted(installation: Installation) -> None:
    # Given more messages than one batch holds, in two conversations that take turns
    contents = [f"message {number}" for number in range(1200)]
    for at in range(0, 1200, 100):
        installation.send_all(contents[at : at + 100], "general")
        installation.send_all(contents[at : at + 100], "random")
    # When a worker does what is there
    installation.work_off()
    # Then each conversation is numbered 1, 2, 3 in that order
    for conversation in ("general", "random"):
        assert installation.contents(conversation) == contents
        assert [frame["message"]["content"] for frame in installation.frames(conversation)] == contents


def test_the_same_message_twice_is_one(installation: Installation) -> None:
    # Given a message that its client sent twice, the second time when Redis had forgotten the first
    first = installation.put("sendMessage", conversationId="general", content="hello", clientMessageId="1")
    again = installation.put("sendMessage", conversationId="general", content="hello", clientMessageId="1")
    installation.work_off()
    installation.redis.flushall()
    once_more = installation.put("sendMessage", conversationId="general", content="hello", clientMessageId="1")
    # When a worker does what is there
    installation.work_off()
    # Then all have the same ids, and there is one message with one event
    assert (first.message_id, first.job_id) == (again.message_id, again.job_id) == once_more[:2]
    assert (first.repeat, again.repeat, once_more.repeat) == (False, True, False)
    assert installation.contents() == ["hello"]
    assert len(installation.frames()) == 1
    assert installation.rows("SELECT * FROM failures") == []


def test_other_content_under_a_client_id_that_redis_forgot_is_a_failure(installation: Installation) -> None:
    # Given a message under a client id, and another one under the same when Redis had forgotten the first
    message_id = installation.send("hello", clientMessageId="1")
    installation.work_off()
    installation.redis.flushall()
    installation.send("good-bye", clientMessageId="1")
    told: Any = installation.redis.pubsub()
    told.subscribe(keys.user_channel("alice"))
    # When a worker does what is there
    installation.work_off()
    # Then the first stays, and the second is recorded as failed
    assert installation.contents() == ["hello"]
    failure = installation.one("SELECT message_id, conversation_id, sender_id, reason FROM failures")
    assert failure[:3] == (message_id, "general", "alice")
    assert failure.reason.startswith("idempotency-mismatch")
    assert installation.failed_ids() == [message_id]
    # And its sender is told
    frames = [
        json.loads(item["data"]) for item in iter(lambda: told.get_message(timeout=0.5), None) if item["data"] != 1
    ]
    assert frames == [
        {"type": "messageFailed", "messageId": message_id, "clientMessageId": "1", "reason": failure.reason}
    ]
    told.close()


def test_an_edit_changes_the_message_and_what_was_told_of_it(installation: Installation) -> None:
    # Given a message that is edited twice
    message_id = installation.send("draft", metadata={"a": 1})
    installation.put("editMessage", messageId=message_id, content="better")
    installation.put("editMessage", messageId=message_id, content="best")
    # When a worker does what is there
    installation.work_off()
    # Then the message and its conversation have the last content
    row = installation.one("SELECT content, metadata, edited_at, seq FROM messages")
    assert (row.content, json.loads(row.metadata), row.seq) == ("best", {"a": 1}, 1)
    assert row.edited_at is not None
    assert last_message(installation) == (message_id, "best", 3)
    # And so have all its events, none of which tells the draft any more
    frames = installation.frames()
    assert [frame["type"] for frame in frames] == ["newMessage", "messageEdited", "messageEdited"]
    assert [frame["message"]["content"] for frame in frames] == ["best"] * 3
    assert frames[2]["message"]["editedAt"] is not None


def test_an_edit_of_a_message_that_was_stored_before_changes_its_events(installation: Installation) -> None:
    message_id = installation.send("draft")
    installation.work_off()
    installation.put("editMessage", messageId=message_id, content="final")
    installation.work_off()
    assert [frame["message"]["content"] for frame in installation.frames()] == ["final", "final"]


def test_an_edit_without_a_change_makes_no_event(installation: Installation) -> None:
    message_id = installation.send("same")
    installation.put("editMessage", messageId=message_id, content="same")
    installation.work_off()
    assert [frame["type"] for frame in installation.frames()] == ["newMessage"]
    assert installation.failed_ids() == []


def test_a_deletion_leaves_a_tombstone_and_no_content(installation: Installation) -> None:
    # Given two messages, of which the second was edited
    first = installation.send("first")
    second = installation.send("secret", metadata={"key": "secret"})
    installation.put("editMessage", messageId=second, content="a secret")
    installation.work_off()
    # When the second is deleted, twice
    installation.put("deleteMessage", messageId=second)
    installation.put("deleteMessage", messageId=second)
    installation.work_off()
    # Then a tombstone stays
    row = installation.one("SELECT content, metadata, deleted_at FROM messages WHERE id = :id", id=second)
    assert row[:2] == (None, None)
    assert row.deleted_at is not None
    # And no event tells its content any more, and the second deletion made none
    frames = installation.frames()
    assert [frame["type"] for frame in frames] == ["newMessage", "newMessage", "messageEdited", "messageDeleted"]
    assert frames[3] == {"type": "messageDeleted", "conversationId": "general", "seq": 4, "messageId": second}
    assert frames[1]["message"]["content"] is frames[2]["message"]["content"] is None
    assert frames[1]["message"]["deletedAt"] is not None
    assert "secret" not in json.dumps(frames)
    # And the conversation's last message is the first one again
    assert last_message(installation) == (first, "first", 4)
    assert installation.failed_ids() == []


def test_the_last_message_of_an_emptied_conversation_is_none(installation: Installation) -> None:
    ids = installation.send_all(["one", "two"])
    for message_id in ids:
        installation.put("deleteMessage", messageId=message_id)
    installation.work_off()
    assert last_message(installation) == (None, None, 4)


def test_a_deleted_message_is_edited_no_more(installation: Installation) -> None:
    # Given a message that is deleted
    message_id = installation.send("gone", clientMessageId="1")
    installation.put("deleteMessage", messageId=message_id)
    # When it is edited, and sent again under its client id when Redis has forgotten it
    installation.put("editMessage", messageId=message_id, content="back")
    installation.work_off()
    installation.redis.flushall()
    installation.send("gone", clientMessageId="1")
    installation.work_off()
    # Then it stays deleted, without an event, and nothing has failed
    assert installation.contents() == [None]
    assert [frame["type"] for frame in installation.frames()] == ["newMessage", "messageDeleted"]
    assert installation.rows("SELECT * FROM failures") == []


def test_a_mark_covers_everything_up_to_its_message(installation: Installation) -> None:
    # Given three messages of alice's and one of bob's between them
    first = installation.send("1")
    installation.send("2", senderId="bob")
    third = installation.send("3")
    fourth = installation.send("4")
    # When bob has received the third
    installation.put("updateMessageStatus", messageId=third, status="delivered", userId="bob")
    installation.work_off()
    # Then alice's messages up to it are delivered, bob's own and the later one are not
    statuses = [row.status for row in installation.rows("SELECT status FROM messages ORDER BY seq")]
    assert statuses == ["delivered", "sent", "delivered", "sent"]
    assert marks(installation, "bob") == (3, 0)
    assert installation.frames()[4] == {
        "type": "messageStatus",
        "conversationId": "general",
        "seq": 5,
        "messageId": third,
        "status": "delivered",
        "userId": "bob",
    }
    # When he reads the last one, then marks go back to the first
    installation.put("updateMessageStatus", messageId=fourth, status="read", userId="bob")
    installation.put("updateMessageStatus", messageId=first, status="read", userId="bob")
    installation.put("updateMessageStatus", messageId=fourth, status="delivered", userId="bob")
    installation.work_off()
    # Then reading was delivery as well, and nothing goes back or makes an event
    statuses = [row.status for row in installation.rows("SELECT status FROM messages ORDER BY seq")]
    assert statuses == ["read", "sent", "read", "read"]
    assert marks(installation, "bob") == (4, 4)
    assert len(installation.frames()) == 6


def test_a_messages_status_is_the_furthest_of_anyone_but_its_sender(installation: Installation) -> None:
    # Given a message that its own sender has read
    message_id = installation.send("hello")
    installation.put("updateMessageStatus", messageId=message_id, status="read", userId="alice")
    installation.work_off()
    # Then it is merely sent, though her own mark has moved
    assert status_of(installation, message_id) == "sent"
    assert marks(installation, "alice") == (1, 1)
    # When others get further, each in turn
    for user, status, expected in [
        ("bob", "delivered", "delivered"),
        ("carol", "read", "read"),
        ("dave", "delivered", "read"),
    ]:
        installation.put("updateMessageStatus", messageId=message_id, status=status, userId=user)
        installation.work_off()
        # Then the furthest counts
        assert status_of(installation, message_id) == expected
    assert [frame.get("userId") for frame in installation.frames()] == [None, "alice", "bob", "carol", "dave"]


def test_jobs_about_a_message_that_is_not_there_fail(installation: Installation) -> None:
    # Given jobs about a message that nobody has sent
    nobody = message("never sent").message_id
    jobs = [
        installation.put("editMessage", messageId=nobody, content="x"),
        installation.put("deleteMessage", messageId=nobody),
        installation.put("updateMessageStatus", messageId=nobody, status="read"),
    ]
    # When a worker does what is there
    installation.work_off()
    # Then they rest in RQ's registry, with rows that say why
    assert sorted(installation.failed_ids()) == sorted(job.job_id for job in jobs)
    reasons = installation.rows("SELECT message_id, reason FROM failures")
    assert reasons == [(nobody, f"There is no message {nobody}.")] * 3
    assert installation.rows("SELECT * FROM conversations") == []


def test_a_job_that_ran_out_of_time_is_not_done(installation: Installation) -> None:
    # Given a message and an edit whose time is over, and a message whose time is not
    late = installation.send("late", clientMessageId="1", expiresAt="2020-01-01T00:00:00Z")
    kept = installation.send("in time", expiresAt="2999-01-01T00:00:00Z")
    installation.put("editMessage", messageId=kept, content="too late", expiresAt="2020-01-01T00:00:00Z")
    # When a worker does what is there
    installation.work_off()
    # Then only the last one was done, and the others are recorded as expired
    assert installation.contents() == ["in time"]
    assert [row.reason for row in installation.rows("SELECT reason FROM failures")] == ["expired", "expired"]
    # And a repeat of the expired message queues it again
    again = installation.put("sendMessage", conversationId="general", content="late", clientMessageId="1")
    installation.work_off()
    assert (again.message_id, again.repeat) == (late, False)
    assert installation.contents() == ["in time", "late"]


def test_jobs_that_cannot_be_read_fail_alone(installation: Installation) -> None:
    # Given jobs that someone put into a lane by hand, between two good ones
    first = installation.send("first")
    lane = f"messages:{installation.prepare('sendMessage', conversationId='general', content='x').lane}"
    bad = {
        "no-json": b"\x80\x04\x95pickle",
        "no-call": b"[1, 2]",
        "not-ours": b'["os.system",null,["touch /tmp/x"],{}]',
        "method": b'["chatq.jobs.send_message",{"a":1},[],{}]',
        "positional": b'["chatq.jobs.send_message",null,["x"],{}]',
        "fields": b'["chatq.jobs.send_message",null,[],{"conversationId":"general","nul\\u0000":1}]',
        "deep": b'["chatq.jobs.send_message",null,[],' + b"[" * 5000 + b"]" * 5000 + b"]",
        "empty": b"",
        "x" * 200: installation.prepare("sendMessage", conversationId="general", content="long id").data,
    }
    for job_id, data in bad.items():
        installation.redis.hset(keys.job(job_id), mapping={"status": "queued", "data": data, "created_at": "\0"})
        installation.redis.rpush(keys.queue(lane), job_id)
    installation.send("last")
    # When a worker does what is there
    installation.work_off()
    # Then the good ones are stored, and each bad one is recorded with a reason
    assert installation.contents() == ["first", "last"]
    assert sorted(installation.failed_ids()) == sorted(bad)
    reasons = {row.job_id: row.reason for row in installation.rows("SELECT job_id, reason FROM failures")}
    assert sorted(reasons) == sorted(job_id[:128] for job_id in bad)
    assert "no message job" in reasons["not-ours"]
    assert "is not a known field" in reasons["fields"]
    assert all(reasons.values())
    assert installation.started() == 0
    assert installation.redis.exists(keys.job(first)) == 0


def test_times_that_a_database_can_hold_only_just_are_kept(installation: Installation) -> None:
    installation.send("first", createdAt="0001-01-01T00:00:00Z")
    installation.send("last", createdAt="9999-12-31T23:59:59.999Z")
    installation.work_off()
    created = [frame["message"]["createdAt"] for frame in installation.frames()]
    assert created == ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"]
    assert last_message(installation)[1] == "last"
