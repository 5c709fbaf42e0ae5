"""What batches of jobs do to the database, compared with a simple model that does one job after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Engine, delete, event, select

from chatq.domain.clock import timestamp
from chatq.domain.jobs import DeleteMessage, EditMessage, SendMessage, UpdateMessageStatus
from chatq.domain.messages import MessageData
from chatq.queue.codec import prepare
from chatq.store.batch import apply_batch
from chatq.store.engine import reading, writing
from chatq.store.fence import take_over
from chatq.store.members import create_conversation
from chatq.store.tables import metadata
from chatq.store.work import Outcome, Work
from tests.parts.engines import set_up

CONVERSATIONS, USERS = ["general", "random"], ["alice", "bob", "carol"]
NOWHERE = "nowhere"
"""A conversation that nobody makes."""
RANK = {"sent": 0, "delivered": 1, "read": 2}


@dataclass(frozen=True)
class Send:
    conversation: str
    sender: str
    content: str
    client_id: str | None
    metadata: dict[str, Any] | None
    joins: bool | None = None


@dataclass(frozen=True)
class Edit:
    target: int
    content: str


@dataclass(frozen=True)
class Delete:
    target: int


@dataclass(frozen=True)
class Mark:
    target: int
    status: str
    user: str
    joins: bool | None


Step = Send | Edit | Delete | Mark

targets = st.integers(0, 12)
joins = st.sampled_from([None, True, False])
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Send,
        st.sampled_from(CONVERSATIONS),
        st.sampled_from(USERS),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["1", "2"]),
        st.none() | st.sampled_from([{}, {"k": 1}]),
        joins,
    ),
    st.builds(Send, st.sampled_from(CONVERSATIONS), st.sampled_from(USERS), st.just("c"), st.none(), st.none()),
    st.builds(Send, st.just(NOWHERE), st.sampled_from(USERS), st.just("c"), st.none(), st.none(), st.just(False)),
    st.builds(Edit, targets, st.sampled_from(["c", "d"])),
    st.builds(Delete, targets),
    st.builds(Mark, targets, st.sampled_from(["delivered", "read"]), st.sampled_from([*USERS, "dave"]), joins),
)
batches = st.lists(st.lists(steps, min_size=1, max_size=12), min_size=1, max_size=6)


def works_of(plan: Sequence[Sequence[Step]]) -> list[list[Work]]:
    """Return the plan as batches of jobs; a target is the so-and-so-many-th message that the plan sends."""
    flat = [step for batch in plan for step in batch]
    sends = [step for step in flat if isinstance(step, Send)]
    prepared = [prepare(_send_job(step), 8) for step in sends]
    messages = [job.message_id for job in prepared] or [prepare(_send_job(_STRANGER), 8).message_id]
    fresh = iter(prepared)
    result: list[list[Work]] = []
    for batch in plan:
        works: list[Work] = []
        for step in batch:
            if not isinstance(step, Send):
                works.append(_work_about(step, messages[step.target % len(messages)]))
                continue
            job = next(fresh)
            # A job that is in a lane already is not put there a second time.
            if job.job_id not in {other.job_id for other in works}:
                works.append(Work(job.job_id, job.message_id, _send_job(step), job.created_at))
        result.append(works)
    return result


_STRANGER = Send("general", "alice", "never sent", None, None)


def _send_job(step: Send) -> SendMessage:
    data = MessageData(
        sender_id=step.sender, content=step.content, client_message_id=step.client_id, metadata=step.metadata
    )
    return SendMessage(conversation_id=step.conversation, message_data=data, joins=step.joins)


def _work_about(step: Edit | Delete | Mark, message_id: str) -> Work:
    job: EditMessage | DeleteMessage | UpdateMessageStatus
    if isinstance(step, Edit):
        job = EditMessage(message_id=message_id, content=step.content)
    elif isinstance(step, Delete):
        job = DeleteMessage(message_id=message_id)
    else:
        status: Any = step.status
        job = UpdateMessageStatus(message_id=message_id, status=status, user_id=step.user, joins=step.joins)
    return Work(prepare(job, 8).job_id, message_id, job, timestamp())


@dataclass
class Model:
    """What a chat is, without any of the care that the real one takes."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    members: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    jobs: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Conversation and number of the event that each job made."""

    def apply_all(self, works: Sequence[Work]) -> list[str | None]:
        """Do a batch of jobs; return for each why it failed, if it did."""
        before = dict(self.messages)
        return [
            None if any(self._covers(before, later, work) for later in works[at + 1 :]) else self.apply(work)
            for at, work in enumerate(works)
        ]

    def _covers(self, before: dict[str, dict[str, Any]], later: Work, earlier: Work) -> bool:
        """Tell whether a later mark on a message of before the batch goes as far as an earlier one of the same user."""
        one, other = earlier.job, later.job
        if not isinstance(one, UpdateMessageStatus) or not isinstance(other, UpdateMessageStatus):
            return False
        marked, further = before.get(earlier.message_id), before.get(later.message_id)
        return (
            marked is not None
            and further is not None
            and (one.user_id, one.joins, marked["conversation"])
            == (other.user_id, other.joins, further["conversation"])
            and further["seq"] >= marked["seq"]
            and RANK[other.status] >= RANK[one.status]
        )

    def apply(self, work: Work) -> str | None:
        """Do one job; return why it failed, if it did."""
        job = work.job
        if isinstance(job, SendMessage):
            return self._send(work, job)
        message = self.messages.get(work.message_id)
        if message is None:
            return "There is no message"
        if message["deleted"]:
            if isinstance(job, UpdateMessageStatus):
                self._mark(work, job, message)
            return None
        if isinstance(job, EditMessage):
            if job.content != message["content"]:
                message.update(content=job.content, edited=True)
                self._event(work, message["conversation"], "messageEdited")
        elif isinstance(job, DeleteMessage):
            message.update(content=None, metadata=None, deleted=True)
            self._event(work, message["conversation"], "messageDeleted")
        else:
            self._mark(work, job, message)
        return None

    def _send(self, work: Work, job: SendMessage) -> str | None:
        data, conversation = job.message_data, job.conversation_id
        there = self.messages.get(work.message_id)
        if there is not None:
            same = (there["content"], there["metadata"] or None) == (data.content, data.metadata or None)
            return None if same or there["edited"] or there["deleted"] else "idempotency-mismatch"
        if conversation not in self.events:
            return "There is no conversation"
        if job.joins is not False:
            self.members.setdefault((conversation, data.sender_id or ""), {"delivered": 0, "read": 0})
        seq = self._event(work, conversation, "newMessage")
        self.messages[work.message_id] = {
            "conversation": conversation,
            "seq": seq,
            "sender": data.sender_id,
            "content": data.content,
            "metadata": data.metadata,
            "edited": False,
            "deleted": False,
        }
        return None

    def _mark(self, work: Work, job: UpdateMessageStatus, message: dict[str, Any]) -> None:
        key = (message["conversation"], job.user_id or "")
        if job.joins is False and key not in self.members:
            return
        marks = self.members.get(key, {"delivered": 0, "read": 0})
        if message["seq"] > marks[job.status]:
            steps = ["delivered", "read"] if job.status == "read" else ["delivered"]
            self.members[key] = marks | {step: max(marks[step], message["seq"]) for step in steps}
            self._event(work, message["conversation"], "messageStatus")

    def _event(self, work: Work, conversation: str, type_: str) -> int:
        events = self.events[conversation]
        seq = len(events) + 1
        events.append({"seq": seq, "type": type_, "message": work.message_id, "job": work.job_id})
        self.jobs[work.job_id] = (conversation, seq)
        return seq

    def status(self, message: dict[str, Any]) -> str:
        """Return the furthest status that any member but the sender has reached."""
        furthest = "sent"
        for (conversation, user), marks in self.members.items():
            if conversation == message["conversation"] and user != message["sender"]:
                for step in ("delivered", "read"):
                    if marks[step] >= message["seq"] and RANK[step] > RANK[furthest]:
                        furthest = step
        return furthest

    def last_message(self, conversation: str) -> tuple[str | None, str | None]:
        """Return id and content of the undeleted message with the highest number."""
        kept = [
            (message["seq"], id_, message["content"])
            for id_, message in self.messages.items()
            if message["conversation"] == conversation and not message["deleted"]
        ]
        return max(kept)[1:] if kept else (None, None)


Tables = dict[str, list[dict[str, Any]]]


def dump(engine: Engine) -> Tables:
    """Return all rows of all tables."""
    with reading(engine) as connection:
        return {
            table.name: [
                dict(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            ]
            for table in metadata.sorted_tables
        }


def empty(engine: Engine) -> None:
    """Delete all rows of all tables."""
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            connection.execute(delete(table))


def begin(engine: Engine) -> Model:
    """Empty the database but for two conversations, and return their model."""
    empty(engine)
    model = Model()
    for conversation in CONVERSATIONS:
        create_conversation(engine, conversation, "alice", title=None, others=(), now=timestamp())
        model.events[conversation] = []
        model.members[conversation, "alice"] = {"delivered": 0, "read": 0}
    return model


def assert_as_modelled(tables: Tables, model: Model) -> None:
    """Compare the whole database with the model."""
    events = {(row["conversation_id"], row["seq"]): row for row in tables["events"]}
    assert [
        (row["conversation_id"], row["seq"], row["type"], row["message_id"], row["job_id"]) for row in tables["events"]
    ] == [
        (conversation, event["seq"], event["type"], event["message"], event["job"])
        for conversation, made in sorted(model.events.items())
        for event in made
    ]
    assert {
        row["id"]: (row["conversation_id"], row["seq"], row["sender_id"], row["content"], row["status"])
        for row in tables["messages"]
    } == {
        id_: (m["conversation"], m["seq"], m["sender"], m["content"], model.status(m))
        for id_, m in model.messages.items()
    }
    for row in tables["messages"]:
        message = model.messages[row["id"]]
        assert (row["deleted_at"] is not None) == message["deleted"]
        assert (row["edited_at"] is not None) == message["edited"]
        assert (None if row["metadata"] is None else json.loads(row["metadata"])) == message["metadata"]
    assert {
        row["id"]: (row["last_seq"], row["last_message_id"], row["last_message"]) for row in tables["conversations"]
    } == {id_: (len(made), *model.last_message(id_)) for id_, made in model.events.items()}
    assert {
        (row["conversation_id"], row["user_id"]): (row["delivered_seq"], row["read_seq"]) for row in tables["members"]
    } == {key: (marks["delivered"], marks["read"]) for key, marks in model.members.items()}
    for (conversation, seq), row in events.items():
        frame = json.loads(row["payload"])
        assert (frame["type"], frame["conversationId"], frame["seq"]) == (row["type"], conversation, seq)
        if "message" in frame:
            # Whatever tells of a message tells its content of now.
            assert frame["message"]["content"] == model.messages[row["message_id"]]["content"]
            assert frame["message"]["id"] == row["message_id"]
        else:
            assert frame["messageId"] == row["message_id"]


def assert_published(tables: Tables, outcomes: Sequence[Outcome], works: Sequence[Work], model: Model) -> None:
    """Check that each job that made an event publishes it as it is stored, and no job but a send another's."""
    stored = {(row["conversation_id"], row["seq"]): row["payload"] for row in tables["events"]}
    for work, outcome in zip(works, outcomes, strict=True):
        frames = [json.loads(published.payload) for published in outcome.published]
        for published, frame in zip(outcome.published, frames, strict=True):
            assert published.payload == stored[published.conversation_id, frame["seq"]]
        made = model.jobs.get(work.job_id)
        if outcome.failure is not None:
            assert frames == []
        elif made is not None:
            assert [(frame["conversationId"], frame["seq"]) for frame in frames] == [made]
        elif not isinstance(work.job, SendMessage):
            assert frames == []


@pytest.fixture
def fast_engine(database_url: str) -> Iterator[Engine]:
    """An engine for a database that need not survive a power cut, nor end who is slow in a transaction."""
    with set_up(database_url, full_sync=False) as engine:
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", be_patient)
            engine.dispose()
        yield engine


def be_patient(connection: Any, _record: object) -> None:
    """Let a Postgres session take any time: the machine may have much else to do."""
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(f"SET {limit} = 0")
    connection.commit()


some = settings(max_examples=60)


@some
@given(plan=batches)
def test_batches_do_what_their_jobs_do_one_by_one(fast_engine: Engine, plan: list[list[Step]]) -> None:
    model = begin(fast_engine)
    epoch = take_over(fast_engine, 0)
    failed: set[str] = set()
    for works in works_of(plan):
        # When a batch is applied
        works = accepted_now(works, failed)
        outcomes = apply_batch(fast_engine, 0, epoch, works)
        failed |= {work.job_id for work, outcome in zip(works, outcomes, strict=True) if outcome.failure is not None}
        # Then each job did what it does in the model
        reasons = model.apply_all(works)
        for outcome, reason in zip(outcomes, reasons, strict=True):
            assert (outcome.failure is None) == (reason is None)
            assert (outcome.failure or "").startswith(reason or "")
        tables = dump(fast_engine)
        assert_published(tables, outcomes, works, model)
        assert_as_modelled(tables, model)


@some
@given(plan=batches)
def test_a_batch_that_is_applied_twice_has_no_second_effect(fast_engine: Engine, plan: list[list[Step]]) -> None:
    assume(not any(joins_late(steps) for steps in plan))
    begin(fast_engine)
    epoch = take_over(fast_engine, 0)
    failed: set[str] = set()
    for works in works_of(plan):
        # Given a batch that was committed, and a worker that died before it could finish its jobs
        works = accepted_now(works, failed)
        first = apply_batch(fast_engine, 0, epoch, works)
        failed |= {work.job_id for work, outcome in zip(works, first, strict=True) if outcome.failure is not None}
        before = dump(fast_engine)
        # When another applies it once more
        second = apply_batch(fast_engine, 0, epoch, works)
        # Then nothing changes but the time at which a failure was noted last
        assert without_times(dump(fast_engine)) == without_times(before)
        # And every event is published again, and every failure told again
        for one, other in zip(first, second, strict=True):
            assert [published.payload for published in one.published] == [
                published.payload for published in other.published
            ]
            assert one.failure == other.failure


@some
@given(plan=batches, data=st.data())
def test_a_batch_whose_marks_are_done_once_more_in_pieces_has_no_second_effect(
    fast_engine: Engine, plan: list[list[Step]], data: st.DataObject
) -> None:
    begin(fast_engine)
    epoch = take_over(fast_engine, 0)
    for works in works_of(plan):
        # Given a batch that was committed, but not finished
        works = accepted_now(works, set())
        apply_batch(fast_engine, 0, epoch, works)
        before = dump(fast_engine)
        # When its marks are claimed once more, in other batches than before; but for those that make nobody a member,
        # which may well have an effect once their user has become one
        marks = [work for work in works if isinstance(work.job, UpdateMessageStatus) and work.job.joins is not False]
        cut = data.draw(st.integers(0, len(marks)))
        for piece in (marks[:cut], marks[cut:]):
            if piece:
                apply_batch(fast_engine, 0, epoch, piece)
        # Then nothing changes
        assert without_times(dump(fast_engine)) == without_times(before)


def joins_late(steps: Sequence[Step]) -> bool:
    """Tell whether somebody is made a member behind a mark that would make them none.

    Such a mark, of a user whom the API did not know as a member, has an effect if it is done once more.
    """
    strangers: set[str] = set()
    for step in steps:
        if isinstance(step, Mark) and step.joins is False:
            strangers.add(step.user)
        elif (isinstance(step, Mark) and step.user in strangers) or (
            isinstance(step, Send) and step.joins is not False and step.sender in strangers
        ):
            return True
    return False


def accepted_now(works: Sequence[Work], failed: set[str]) -> list[Work]:
    """Return the jobs as just accepted; of those that failed, Redis knows that somebody queued them again."""
    return [replace(work, created_at=timestamp(), failed_before=work.job_id in failed) for work in works]


def without_times(tables: Tables) -> Tables:
    """Return the tables without the times of failures."""
    return {**tables, "failures": [{**row, "created_at": None} for row in tables["failures"]]}
