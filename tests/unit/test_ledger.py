"""Batches that are applied again, broken up, or refused: what hypothesis would find only by luck."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, text

from chatq.domain.clock import timestamp
from chatq.domain.jobs import DeleteMessage, EditMessage, MessageJob, SendMessage, UpdateMessageStatus
from chatq.domain.messages import MessageData
from chatq.errors import LaneLost
from chatq.queue.codec import message_id_of, prepare
from chatq.store.batch import apply_batch
from chatq.store.fence import take_over
from chatq.store.members import create_conversation, remove_member
from chatq.store.work import Outcome, Work


def send(content: str, *, conversation: str = "general", client_id: str | None = None) -> Work:
    data = MessageData(sender_id="alice", content=content, client_message_id=client_id)
    return work(SendMessage(conversation_id=conversation, message_data=data))


def edit(message: Work, content: str) -> Work:
    return work(EditMessage(message_id=message.message_id, content=content))


def work(job: MessageJob) -> Work:
    prepared = prepare(job, 8)
    return Work(prepared.job_id, prepared.message_id, job, timestamp())


def contents(engine: Engine) -> list[str | None]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT content FROM messages ORDER BY seq")).scalars())


def event_types(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT type FROM events ORDER BY seq")).scalars())


def frames(outcomes: Sequence[Outcome]) -> list[list[str]]:
    return [[json.loads(published.payload)["type"] for published in outcome.published] for outcome in outcomes]


@pytest.fixture
def epoch(engine: Engine) -> int:
    return take_over(engine, 0)


def test_an_edit_without_effect_has_none_the_second_time_either(engine: Engine, epoch: int) -> None:
    # Given a batch in which one edit changes nothing, and a later one does
    message = send("old")
    batch = [message, edit(message, "old"), edit(message, "new")]
    first = apply_batch(engine, 0, epoch, batch)
    # When it is applied once more
    second = apply_batch(engine, 0, epoch, batch)
    # Then the first edit does not bring the old content back
    assert contents(engine) == ["new"]
    assert event_types(engine) == ["newMessage", "messageEdited"]
    assert frames(first) == frames(second) == [["newMessage"], [], ["messageEdited"]]


def test_an_edit_that_waits_behind_its_message_is_not_lost_the_second_time(engine: Engine, epoch: int) -> None:
    # Given an edit that overtook its message, and waits behind it
    message = send("old")
    batch = [edit(message, "new"), message, edit(message, "newest")]
    first = apply_batch(engine, 0, epoch, batch, find_waiting=lambda ids: ids)
    assert [outcome.missing for outcome in first] == [True, False, False]
    # When the batch is applied once more, before anybody could put the edit behind its message
    second = apply_batch(engine, 0, epoch, batch, find_waiting=lambda ids: ids)
    # Then the edit is done
    assert not second[0].missing
    assert frames(second)[0] == ["messageEdited"]
    assert event_types(engine) == ["newMessage", "messageEdited", "messageEdited"]


def test_a_repeat_of_a_deleted_message_has_no_effect(engine: Engine, epoch: int) -> None:
    message = send("gone", client_id="1")
    apply_batch(engine, 0, epoch, [message, work(DeleteMessage(message_id=message.message_id))])
    (outcome,) = apply_batch(engine, 0, epoch, [message])
    assert outcome.failure is None
    assert contents(engine) == [None]
    assert "gone" not in outcome.published[0].payload


def test_an_event_is_published_as_it_is_stored(engine: Engine, epoch: int) -> None:
    # Given a message that is sent and deleted in one batch
    message = send("secret")
    outcomes = apply_batch(engine, 0, epoch, [message, work(DeleteMessage(message_id=message.message_id))])
    # Then nothing that is published tells its content, nor when the batch is applied once more with a new job
    published = [frame.payload for outcome in outcomes for frame in outcome.published]
    assert len(published) == 2
    assert "secret" not in "".join(published)


def test_an_event_of_before_is_published_as_it_is_stored_now(engine: Engine, epoch: int) -> None:
    # Given a batch that was committed, but not finished
    message = send("secret")
    apply_batch(engine, 0, epoch, [message])
    # When it is applied once more, together with a deletion that has come meanwhile
    outcomes = apply_batch(engine, 0, epoch, [message, work(DeleteMessage(message_id=message.message_id))])
    # Then the message's event is published without the content
    assert frames(outcomes) == [["newMessage"], ["messageDeleted"]]
    assert "secret" not in outcomes[0].published[0].payload


def test_a_job_that_was_done_in_time_does_not_expire_afterwards(engine: Engine, epoch: int) -> None:
    # Given a message that was stored, but whose worker died before it could finish the job
    message = send("in time")
    apply_batch(engine, 0, epoch, [message])
    # When it is taken up again after its time
    late = Work(message.job_id, message.message_id, message.job, message.created_at, expired=True)
    (outcome,) = apply_batch(engine, 0, epoch, [late])
    # Then it was done
    assert outcome.failure is None
    assert frames([outcome]) == [["newMessage"]]


def test_a_job_of_a_plain_rq_client_gives_the_same_message_again(engine: Engine, epoch: int) -> None:
    # Given a job without a client id, under an id that RQ chose
    job = SendMessage(conversation_id="general", message_data=MessageData(sender_id="alice", content="hello"))
    again = Work("rq-chose-this", message_id_of(job, "rq-chose-this"), job, timestamp())
    # When it is applied twice
    for _ in range(2):
        apply_batch(engine, 0, epoch, [again])
    # Then there is one message
    assert contents(engine) == ["hello"]


def test_a_message_under_two_job_ids_is_one(engine: Engine, epoch: int) -> None:
    # Given a message with a client id that chatq enqueued, and one that a plain RQ client enqueued
    ours = send("hello", client_id="1")
    theirs = Work("rq-chose-this", ours.message_id, ours.job, timestamp())
    # When both orders are tried
    for conversation, batch in (("general", [ours, theirs]), ("general", [theirs]), ("general", [ours])):
        outcomes = apply_batch(engine, 0, epoch, batch)
        assert [outcome.failure for outcome in outcomes] == [None] * len(batch), conversation
    # Then there is one message with one event
    assert contents(engine) == ["hello"]
    assert event_types(engine) == ["newMessage"]


def test_their_job_first_and_ours_second(engine: Engine, epoch: int) -> None:
    ours = send("hello", client_id="1")
    apply_batch(engine, 0, epoch, [Work("rq-chose-this", ours.message_id, ours.job, timestamp())])
    # Our job's id is the message's: that it was made by another one has to be found out by the objection
    outcomes = apply_batch(engine, 0, epoch, [send("before"), ours, send("after")])
    assert [outcome.failure or outcome.error for outcome in outcomes] == [None] * 3
    assert contents(engine) == ["hello", "before", "after"]


def test_the_development_user_is_one_user_named_or_not(engine: Engine, epoch: int) -> None:
    # Given the same message without a sender, as RQ's clients may leave it, and with dev as its sender
    unnamed, named = (
        SendMessage(
            conversation_id="general",
            message_data=MessageData(content="hello", sender_id=sender, client_message_id="1"),
        )
        for sender in (None, "dev")
    )
    batch = [Work(f"job-{at}", message_id_of(job, "x"), job, timestamp()) for at, job in enumerate([unnamed, named])]
    # Then it is one message
    outcomes = apply_batch(engine, 0, epoch, batch)
    assert [outcome.failure or outcome.error for outcome in outcomes] == [None, None]
    assert contents(engine) == ["hello"]


def test_a_former_holder_of_the_lane_changes_nothing(engine: Engine, epoch: int) -> None:
    # Given that another worker has taken the lane over
    newer = take_over(engine, 0)
    assert newer > epoch
    # Then the former one's batch is refused, and the new one's is done
    with pytest.raises(LaneLost):
        apply_batch(engine, 0, epoch, [send("stale")])
    assert contents(engine) == []
    apply_batch(engine, 0, newer, [send("fresh")])
    assert contents(engine) == ["fresh"]


def test_a_lane_that_nobody_took_over_is_nobodys(engine: Engine) -> None:
    with pytest.raises(LaneLost):
        apply_batch(engine, 3, 1, [send("x")])


def poison(engine: Engine, content: str) -> None:
    """Let the database object to messages with this content."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(
                "CREATE TRIGGER poison BEFORE INSERT ON messages "
                f"WHEN NEW.content = '{content}' BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
            )
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF NEW.content = '{content}' THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER poison BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION poison()"
            )


@pytest.mark.parametrize("size", [1, 3, 40])
def test_a_bad_row_leaves_its_batch_alone(engine: Engine, epoch: int, size: int) -> None:
    # Given a batch in which the database objects to one message, and an edit of the one before it
    poison(engine, "bad")
    batch = [send(f"good {number}") for number in range(size)]
    bad = send("bad")
    batch[size // 2 : size // 2] = [bad]
    if size > 1:
        batch.append(edit(batch[0], "edited"))
    # When it is applied
    outcomes = apply_batch(engine, 0, epoch, batch)
    # Then all others are done, in order and without a gap, and the bad one has an error that may pass
    expected: list[str | None] = [f"good {number}" for number in range(size)]
    if size > 1:
        expected[0] = "edited"
    assert contents(engine) == expected
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT seq FROM events ORDER BY seq")).scalars()) == list(
            range(1, len(batch))
        )
        assert connection.execute(text("SELECT count(*) FROM failures")).scalar_one() == 0
    for job, outcome in zip(batch, outcomes, strict=True):
        assert (outcome.error is not None) == (job is bad)
        assert outcome.failure is None


def test_a_bad_row_fails_for_good_at_its_last_attempt(engine: Engine, epoch: int) -> None:
    poison(engine, "bad")
    bad = send("bad")
    last = Work(bad.job_id, bad.message_id, bad.job, bad.created_at, last_attempt=True)
    outcomes = apply_batch(engine, 0, epoch, [send("good"), last])
    assert outcomes[0].failure is None
    assert "poisoned" in (outcomes[1].failure or "")
    assert contents(engine) == ["good"]
    with engine.connect() as connection:
        row = connection.execute(text("SELECT message_id, sender_id, reason FROM failures")).one()
    assert row[:2] == (bad.message_id, "alice")
    assert "poisoned" in row.reason


# --- receipts ------------------------------------------------------------------------------------


def marks_of(engine: Engine, user: str) -> tuple[int, int]:
    with engine.connect() as connection:
        query = text("SELECT delivered_seq, read_seq FROM members WHERE user_id = :user")
        row = connection.execute(query, {"user": user}).one()
    return row.delivered_seq, row.read_seq


def test_marks_of_one_user_in_one_batch_make_one_event(engine: Engine, epoch: int) -> None:
    # Given three messages, and a client that marks each of them in each way
    messages = [send(content) for content in ("one", "two", "three")]
    apply_batch(engine, 0, epoch, messages)

    def mark(number: int, status: Literal["delivered", "read"], user: str = "bob") -> Work:
        job = UpdateMessageStatus(message_id=messages[number - 1].message_id, status=status, user_id=user)
        return work(job)

    marks = [mark(1, "delivered"), mark(2, "read"), mark(1, "read", "carol"), mark(2, "delivered"), mark(1, "read")]
    # When all come in one batch
    outcomes = apply_batch(engine, 0, epoch, [*marks, send("four"), mark(3, "delivered")])
    # Then each user's furthest mark alone is told, in its place, and no number is left out
    assert frames(outcomes) == [[], ["messageStatus"], ["messageStatus"], [], [], ["newMessage"], ["messageStatus"]]
    assert [published.row["seq"] for outcome in outcomes for published in outcome.published] == [4, 5, 6, 7]
    assert marks_of(engine, "bob") == (3, 2)
    assert marks_of(engine, "carol") == (1, 1)
    # And done once more, one by one, nothing has another effect
    again = [apply_batch(engine, 0, epoch, [each])[0] for each in marks]
    assert frames(again) == frames(outcomes)[: len(marks)]


def test_a_mark_is_made_though_a_later_one_fails(engine: Engine, epoch: int) -> None:
    message = send("one")
    apply_batch(engine, 0, epoch, [message])
    mark = work(UpdateMessageStatus(message_id=message.message_id, status="read", user_id="bob"))
    late = replace(work(UpdateMessageStatus(message_id=message.message_id, status="read", user_id="bob")), expired=True)
    stays = stay(UpdateMessageStatus(message_id=message.message_id, status="read", user_id="bob"))
    assert frames(apply_batch(engine, 0, epoch, [mark, late, stays])) == [["messageStatus"], [], []]


# --- jobs that make nobody a member --------------------------------------------------------------


def stay(job: SendMessage | UpdateMessageStatus) -> Work:
    job.joins = False
    return work(job)


def sent_by(user: str, content: str, conversation: str = "general") -> SendMessage:
    return SendMessage(conversation_id=conversation, message_data=MessageData(sender_id=user, content=content))


def members_of(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT user_id, read_seq FROM members ORDER BY user_id"))
        return {row.user_id: row.read_seq for row in rows}


def test_a_message_of_one_who_was_removed_is_kept_but_brings_nobody_back(engine: Engine, epoch: int) -> None:
    # Given a message that was accepted while its sender was a member, who has been removed since
    create_conversation(engine, "general", "alice", title=None, others=["bob"], now=timestamp())
    message = stay(sent_by("bob", "accepted"))
    remove_member(engine, "general", "bob", by="alice", allow=lambda _role: None)
    # When it is stored, and the sender's mark comes as well
    mark = stay(UpdateMessageStatus(message_id=message.message_id, status="read", user_id="bob"))
    outcomes = apply_batch(engine, 0, epoch, [message, mark])
    # Then the message is there, the mark has no effect, and bob is no member
    assert frames(outcomes) == [["newMessage"], []]
    assert contents(engine) == ["accepted"]
    assert members_of(engine) == {"alice": 0}


def test_a_member_s_marks_move_without_joining(engine: Engine, epoch: int) -> None:
    create_conversation(engine, "general", "alice", title=None, others=["bob"], now=timestamp())
    message = stay(sent_by("bob", "hello"))
    marks = [
        stay(UpdateMessageStatus(message_id=message.message_id, status="read", user_id=user))
        for user in ("alice", "eve")
    ]
    outcomes = apply_batch(engine, 0, epoch, [message, *marks])
    assert frames(outcomes) == [["newMessage"], ["messageStatus"], []]
    assert members_of(engine) == {"alice": 1, "bob": 0}


def test_a_message_that_may_not_make_its_conversation_fails_without_one(engine: Engine, epoch: int) -> None:
    # Given one conversation that nobody made, and one that a later message of the batch makes
    nowhere, early = stay(sent_by("eve", "lost", "nowhere")), stay(sent_by("eve", "too early"))
    outcomes = apply_batch(engine, 0, epoch, [nowhere, early, send("first"), stay(sent_by("eve", "second"))])
    # Then what came before its conversation fails, and says why
    assert [outcome.failure for outcome in outcomes] == [
        "There is no conversation nowhere.",
        "There is no conversation general.",
        None,
        None,
    ]
    assert contents(engine) == ["first", "second"]
    assert members_of(engine) == {"alice": 0}
    with engine.connect() as connection:
        assert list(connection.execute(text("SELECT id FROM conversations")).scalars()) == ["general"]
