"""Batches that were committed, never finished, and come again: told from mere repeats of what was done long ago."""

from __future__ import annotations

from sqlalchemy import Engine, select

from chatq.domain.jobs import EditMessage, MessageJob, SendMessage
from chatq.domain.messages import MessageData
from chatq.queue.codec import prepare
from chatq.store.batch import apply_batch
from chatq.store.engine import reading
from chatq.store.fence import take_over
from chatq.store.tables import events, messages
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
