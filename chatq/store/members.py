"""Conversations that users make, and who is in them: short transactions of the API's own, beside those of the lanes.

Whoever changes members holds the conversation's row, as a lane's batch does: a change and a batch, or two changes, take
effect one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, and_, bindparam, delete, exists, insert, literal, select, text, update

from chatq.domain.messages import Message
from chatq.errors import LastOwner, UnknownConversation
from chatq.store.engine import asking, reading, writing
from chatq.store.listed import as_list, listed
from chatq.store.loading import to_message
from chatq.store.tables import conversations, members, messages

Role = Literal["owner", "member"]

Allow = Callable[[Role | None], None]
"""Given the role of whoever asks, None for one who is not in the conversation, raises unless it may be done."""

_NEW_CONVERSATION = text(
    "INSERT INTO conversations (id, title, created_at) VALUES (:id, :title, :created_at) ON CONFLICT (id) DO NOTHING"
)
_ROLE = (
    select(conversations.c.id, members.c.role)
    .select_from(
        conversations.outerjoin(
            members,
            and_(members.c.conversation_id == conversations.c.id, members.c.user_id == bindparam("user")),
        )
    )
    .where(conversations.c.id == bindparam("conversation"))
)
_PAIRS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Member:
    """Who is in a conversation, and how far they have come."""

    user_id: str
    role: Role
    delivered_seq: int
    read_seq: int
    joined_at: str


@dataclass(frozen=True, slots=True)
class Details:
    """A conversation with everybody in it."""

    id: str
    title: str | None
    last_seq: int
    last_message: Message | None
    last_message_at: str | None
    created_at: str
    members: list[Member]
    """Owners first, each group by the time of joining."""


def create_conversation(
    engine: Engine, conversation_id: str, owner: str, *, title: str | None, others: Iterable[str], now: str
) -> bool:
    """Create a conversation with its owner and other members; return False if there is one of this id, unchanged.

    Of several that do this at once for one id, one creates it.

    Raises:
        DatabaseError: the database cannot be used.
    """
    with writing(engine) as connection:
        row = {"id": conversation_id, "title": title, "created_at": now}
        if connection.execute(_NEW_CONVERSATION, row).rowcount == 0:
            return False
        roles: dict[str, Role] = dict.fromkeys(others, "member")
        roles[owner] = "owner"
        connection.execute(
            insert(members),
            [_new_row(conversation_id, user, role, now) for user, role in sorted(roles.items())],
        )
    return True


def find_details(engine: Engine, conversation_id: str) -> Details | None:
    """Return a conversation with everybody in it, or None.

    Raises:
        DatabaseError: the database cannot be used.
    """
    everybody = (
        select(members)
        .where(members.c.conversation_id == conversation_id)
        .order_by(members.c.role.desc(), members.c.joined_at, members.c.user_id)
    )
    with reading(engine) as connection:
        row = connection.execute(select(conversations).where(conversations.c.id == conversation_id)).one_or_none()
        if row is None:
            return None
        last = connection.execute(select(messages).where(messages.c.id == row.last_message_id)).one_or_none()
        found = [_to_member(member) for member in connection.execute(everybody)]
    return Details(
        id=row.id,
        title=row.title,
        last_seq=row.last_seq,
        last_message=None if last is None else to_message(last),
        last_message_at=row.last_message_at,
        created_at=row.created_at,
        members=found,
    )


def find_role(engine: Engine, conversation_id: str, user_id: str) -> Role | None:
    """Return a user's role in a conversation; None for one who is not in it.

    Raises:
        UnknownConversation: there is none with this id.
        DatabaseError: the database cannot be used.
    """
    with asking(engine) as connection:
        return _role(connection, conversation_id, user_id)


def find_members(engine: Engine, pairs: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of some pairs of conversation and user in which the user is in the conversation.

    Raises:
        DatabaseError: the database cannot be used.
    """
    found: set[tuple[str, str]] = set()
    ordered = sorted(pairs)
    for at in range(0, len(ordered), _PAIRS_AT_ONCE):
        wanted = ordered[at : at + _PAIRS_AT_ONCE]
        with asking(engine) as connection:
            dialect = connection.dialect.name
            query = select(members.c.conversation_id, members.c.user_id).where(
                listed(dialect, members.c.conversation_id), listed(dialect, members.c.user_id, "users")
            )
            ids = as_list(connection, {conversation for conversation, _ in wanted})
            users = as_list(connection, {user for _, user in wanted}, "users")
            found.update((row.conversation_id, row.user_id) for row in connection.execute(query, ids | users))
    return found.intersection(ordered)


def put_member(
    engine: Engine, conversation_id: str, user_id: str, role: Role | None, *, by: str, allow: Allow, now: str
) -> tuple[Member, bool]:
    """Let a user be in a conversation; return the member, and whether it is a new one.

    Args:
        engine: of the database.
        conversation_id: the conversation.
        user_id: the user.
        role: what the user is to be; by default a new one is a member, and another stays what it is.
        by: the user who wants it.
        allow: refuses, by that user's role at this moment.
        now: the time.

    Raises:
        UnknownConversation: there is none with this id.
        LastOwner: the conversation would have no owner any more.
        DatabaseError: the database cannot be used.
    """
    with writing(engine) as connection:
        _lock(connection, conversation_id)
        allow(_role(connection, conversation_id, by))
        before = _member(connection, conversation_id, user_id)
        if before is None:
            connection.execute(insert(members), _new_row(conversation_id, user_id, role or "member", now))
        elif role is not None and role != before.role:
            if before.role == "owner" and not _others(connection, conversation_id, user_id, "owner"):
                raise LastOwner
            connection.execute(update(members).where(_is(conversation_id, user_id)).values(role=role))
        after = _member(connection, conversation_id, user_id)
    if after is None:
        raise AssertionError("a member that was put is there")
    return after, before is None


def remove_member(engine: Engine, conversation_id: str, user_id: str, *, by: str, allow: Allow) -> None:
    """Let a user be in a conversation no more; one who is not has no effect.

    ``by`` is the user who wants it; ``allow`` refuses, by that user's role at this moment.

    Raises:
        UnknownConversation: there is none with this id.
        LastOwner: the others would be left without an owner.
        DatabaseError: the database cannot be used.
    """
    with writing(engine) as connection:
        _lock(connection, conversation_id)
        allow(_role(connection, conversation_id, by))
        member = _member(connection, conversation_id, user_id)
        if (
            member is not None
            and member.role == "owner"
            and not _others(connection, conversation_id, user_id, "owner")
            and _others(connection, conversation_id, user_id)
        ):
            raise LastOwner
        connection.execute(delete(members).where(_is(conversation_id, user_id)))


def _lock(connection: Connection, conversation_id: str) -> None:
    query = select(conversations.c.id).where(conversations.c.id == conversation_id).with_for_update()
    if connection.execute(query).one_or_none() is None:
        raise UnknownConversation


def _role(connection: Connection, conversation_id: str, user_id: str) -> Role | None:
    row = connection.execute(_ROLE, {"conversation": conversation_id, "user": user_id}).one_or_none()
    if row is None:
        raise UnknownConversation
    role: Role | None = row.role
    return role


def _member(connection: Connection, conversation_id: str, user_id: str) -> Member | None:
    row = connection.execute(select(members).where(_is(conversation_id, user_id))).one_or_none()
    return None if row is None else _to_member(row)


def _others(connection: Connection, conversation_id: str, user_id: str, role: Role | None = None) -> bool:
    """Tell whether somebody else is in the conversation, in this role if one is named."""
    condition = and_(members.c.conversation_id == conversation_id, members.c.user_id != user_id)
    if role is not None:
        condition = and_(condition, members.c.role == role)
    return bool(connection.execute(select(exists(select(literal(1)).where(condition)))).scalar_one())


def _is(conversation_id: str, user_id: str) -> Any:
    return and_(members.c.conversation_id == conversation_id, members.c.user_id == user_id)


def _to_member(row: Any) -> Member:
    return Member(row.user_id, row.role, row.delivered_seq, row.read_seq, row.joined_at)


def _new_row(conversation_id: str, user_id: str, role: Role, now: str) -> dict[str, Any]:
    return {"conversation_id": conversation_id, "user_id": user_id, "role": role, "joined_at": now}
