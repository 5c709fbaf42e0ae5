"""What a socket says of how far its user has come: what a ``PATCH`` of a message's status does."""

from __future__ import annotations

from collections.abc import Sequence

import gevent

from chatq.access.callers import Caller
from chatq.access.finding import find
from chatq.access.rules import joins
from chatq.domain.jobs import UpdateMessageStatus
from chatq.domain.receipts import Mark, find_covering
from chatq.errors import ChatqError
from chatq.realtime import client_frames
from chatq.realtime.sending import Order
from chatq.realtime.shared import Shared
from chatq.store.history import find_messages

Refused = tuple[client_frames.Mark, ChatqError]


def read_marks(
    frames: Sequence[client_frames.Mark], caller: Caller, shared: Shared
) -> tuple[list[Order], list[Refused]]:
    """Return the jobs that frames which came together ask for, and those that ask for what cannot be.

    Of a conversation's marks only the furthest become jobs. That leaves nothing out: what is marked is stored, so
    the furthest takes effect if any of them would, and if it is not accepted, the others' refs are told as well.
    """
    orders: list[Order] = []
    refused: list[Refused] = []
    marks: list[Mark] = []
    stored: list[tuple[client_frames.Mark, str]] = []
    user = caller.acting_as(None)
    found = find_messages(shared.engine, {frame.message_id for frame in frames})
    for frame in frames:
        try:
            message = found.get(frame.message_id)
            if message is not None:
                conversation = message.conversation_id
            else:
                conversation = find(shared.engine, shared.redis, frame.message_id, failed=False).conversation_id
            shared.rules.check_marking(caller, conversation, user)
        except ChatqError as error:
            refused.append((frame, error))
            gevent.sleep(0)
            continue
        if message is None:
            orders.append(_order(frame, [frame], conversation, caller, shared))
        else:
            stored.append((frame, conversation))
            marks.append(Mark(conversation, message.seq, frame.status == "read"))
    covered: dict[int, list[client_frames.Mark]] = {}
    for (frame, _), by in zip(stored, find_covering(marks), strict=True):
        covered.setdefault(by, []).append(frame)
    orders += [_order(stored[by][0], those, stored[by][1], caller, shared) for by, those in sorted(covered.items())]
    return orders, refused


def _order(
    frame: client_frames.Mark,
    covered: Sequence[client_frames.Mark],
    conversation_id: str,
    caller: Caller,
    shared: Shared,
) -> Order:
    job = UpdateMessageStatus(
        message_id=frame.message_id,
        status=frame.status,
        user_id=caller.acting_as(None),
        conversation_id=conversation_id,
        joins=joins(caller),
    )
    return Order(tuple(each.ref for each in covered), shared.intake.prepare(job), answered=False)
