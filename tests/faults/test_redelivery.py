"""Batches that were committed, never finished, and come again: told from mere repeats of what was done long ago."""

from __future__ import annotations

from msgspec.structs import replace
from sqlalchemy import Engine, select, text

from chatq.domain.jobs import EditMessage, MessageJob, SendMessage, UpdateMessageStatus
from chatq.domain.messages import MessageData
from chatq.queue.codec import prepare
from chatq.store.batch import apply_batch
from chatq.store.engine import reading, writing
from chatq.store.fence import take_over
from chatq.store.tables import events, members, messages
from chatq.store.work import Work

LONG_AGO, LATER = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


def accepted(job: MessageJob, key: str | None = None, at: str = LONG_AGO) -> Work:
    prepared = prepare(job, 8, client_id=key)
    return Work(prepared.job_id, prepared.message_id, job, at)


def message(content: str) -> Work:
    return accepted(SendMessage(conversation_id="general", message_data=MessageData(sender_id="a", content=content)))


def contents(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(select(messages.c.content)).scalars())


def types(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(select(events.c.type).order_by(events.c.seq)).scalars())


def test_an_edit_without_effect_in_front_of_one_with_a_key_has_none_the_second_time(engine: Engine) -> None:
    # Given a batch with an edit that changes nothing, and one that does and may be repeated by its client
    epoch = take_over(engine, 0)
    old = message("old")
    nothing = accepted(EditMessage(message_id=old.message_id, content="old"), "1")
    something = accepted(EditMessage(message_id=old.message_id, content="new"), "2")
    # When the batch comes again
    for _ in range(2):
        apply_batch(engine, 0, epoch, [old, nothing, something])
    # Then nothing comes of it
    assert contents(engine) == ["new"]
    assert types(engine) == ["newMessage", "messageEdited"]


def test_a_new_edit_in_front_of_a_repeat_of_an_old_one_is_done(engine: Engine) -> None:
    # Given an edit that was done long ago
    epoch = take_over(engine, 0)
    old = message("old")
    done = accepted(EditMessage(message_id=old.message_id, content="new"), "1")
    apply_batch(engine, 0, epoch, [old, done])
    # When its repeat, which nobody remembers, stands behind a newer one
    newer = accepted(EditMessage(message_id=old.message_id, content="newer"), "2", LATER)
    apply_batch(engine, 0, epoch, [newer, done])
    # Then the newer one is done, and the repeat has no effect
    assert contents(engine) == ["newer"]
    assert types(engine) == ["newMessage", "messageEdited", "messageEdited"]


def test_a_message_comes_again_with_an_edit_that_the_database_objects_to(engine: Engine) -> None:
    # Given a message that was stored, but not finished
    epoch = take_over(engine, 0)
    old = message("old")
    [stored] = apply_batch(engine, 0, epoch, [old])
    payload = stored.published[0].payload
    # When it comes again together with an edit that the database objects to
    object_to_edits(engine, "bad")
    bad = accepted(EditMessage(message_id=old.message_id, content="bad"))
    again, edited = apply_batch(engine, 0, epoch, [old, bad])
    # Then it is published as it is stored
    assert edited.error is not None
    assert contents(engine) == ["old"]
    assert [event.payload for event in again.published] == [payload]


def test_a_mark_in_front_of_a_further_one_that_failed_before_counts(engine: Engine) -> None:
    # Given two messages, and a mark on the second that failed for good, but was not finished
    epoch = take_over(engine, 0)
    first, second = message("one"), message("two")
    apply_batch(engine, 0, epoch, [first, second])
    near, far = (
        accepted(UpdateMessageStatus(message_id=each.message_id, status="read", user_id="bob"))
        for each in (first, second)
    )
    object_to_edits(engine, "read", "status")
    [failed] = apply_batch(engine, 0, epoch, [replace(far, last_attempt=True)])
    assert failed.failure is not None
    object_to_edits(engine, "nothing", "status")
    # When it comes again behind a mark on the first, which the database objected to as well until now
    apply_batch(engine, 0, epoch, [near, replace(far, last_attempt=True)])
    # Then that one is made
    with reading(engine) as connection:
        mark = connection.execute(select(members.c.read_seq).where(members.c.user_id == "bob")).scalar_one_or_none()
    assert mark == 1


def object_to_edits(engine: Engine, value: str, column: str = "content") -> None:
    """Let the database object from now on, and to nothing else, if a message's column gets this value."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text(
                    f"CREATE OR REPLACE FUNCTION object() RETURNS trigger AS $$ BEGIN IF NEW.{column} = '{value}' "
                    "THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql;"
                    "CREATE OR REPLACE TRIGGER object BEFORE UPDATE ON messages "
                    "FOR EACH ROW EXECUTE FUNCTION object()"
                )
            )
            return
        connection.execute(text("DROP TRIGGER IF EXISTS object"))
        connection.execute(
            text(
                f"CREATE TRIGGER object BEFORE UPDATE ON messages WHEN NEW.{column} = '{value}' "
                "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            )
        )
