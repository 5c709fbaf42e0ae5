"""Who may do what: the one place that decides it, for HTTP and for the socket alike.

In development mode nothing is refused. A service acts for anyone, in any conversation that exists. Everybody else must
be in the conversation, and may change another's message, or who is in it, only as its owner.
"""

from __future__ import annotations

from chatq.access.callers import Caller
from chatq.access.membership import Memberships
from chatq.errors import Forbidden
from chatq.store.members import Allow, Role


def joins(caller: Caller) -> bool | None:
    """Return what a job carries on whether it makes its user a member: only in development mode it does.

    A message is kept that was accepted just before its sender was removed; storing it is not to bring the sender back.
    """
    return False if caller.verified else None


class Rules:
    """Refuses what a caller may not do; what is allowed passes in silence, mostly without a look at the database.

    Each may raise UnknownConversation, Forbidden, or DatabaseError if it is not known here and the database cannot be
    asked.
    """

    def __init__(self, memberships: Memberships) -> None:
        self._memberships = memberships

    def check_reading(self, caller: Caller, conversation_id: str) -> None:
        """Let a caller see a conversation: its messages, its events as they happen, and who is in it."""
        self._check_member(caller, conversation_id)

    def check_sending(self, caller: Caller, conversation_id: str) -> None:
        """Let a caller send messages to a conversation, or tell it that they are typing."""
        self._check_member(caller, conversation_id)

    def check_marking(self, caller: Caller, conversation_id: str, user_id: str) -> None:
        """Let a caller say how far a user, who is nobody else, has come with a conversation."""
        self._check_member(caller, conversation_id)
        if caller.verified and not caller.service and user_id != caller.user_id:
            raise Forbidden(f"You may not say what {user_id!r} has read.")

    def check_changing(self, caller: Caller, conversation_id: str, author: str | None) -> None:
        """Let a caller edit or delete a message that ``author`` wrote."""
        role = self._check_member(caller, conversation_id)
        if role is not None and role != "owner" and author != caller.user_id:
            raise Forbidden("Only its author and the conversation's owners may change this message.")

    def check_learning_of_failure(self, caller: Caller, sender: str | None) -> None:
        """Let a caller learn why a message failed; others never saw it."""
        if caller.verified and not caller.service and sender != caller.user_id:
            raise Forbidden("Only its sender may see what became of this message.")

    def check_job(self, caller: Caller, conversation_id: str | None) -> None:
        """Let a caller see what became of a job; one without a conversation is for services alone."""
        if conversation_id is not None:
            self._check_member(caller, conversation_id)
        elif not caller.unrestricted:
            raise Forbidden("Only services may see this job.")

    def for_managing(self, caller: Caller) -> Allow:
        """Return what lets a caller decide who is in a conversation, by the role that they have at that moment."""

        def allow(role: Role | None) -> None:
            if role != "owner" and not caller.unrestricted:
                raise Forbidden("Only the conversation's owners may decide who is in it.")

        return allow

    def for_removing(self, caller: Caller, user_id: str) -> Allow:
        """Return what lets a caller remove a user: whoever decides who is in the conversation, and the user."""
        if user_id == caller.user_id:
            return lambda _role: None
        return self.for_managing(caller)

    def _check_member(self, caller: Caller, conversation_id: str) -> Role | None:
        """Return the caller's role; None for one who needs none.

        Raises:
            UnknownConversation: there is no such conversation.
            Forbidden: the caller is not in it.
            DatabaseError: it is not known here, and the database cannot be asked.
        """
        if not caller.verified:
            return None
        if caller.service:
            self._memberships.check_exists(conversation_id)
            return None
        role = self._memberships.role(conversation_id, caller.user_id or "")
        if role is None:
            raise Forbidden("You are not a member of this conversation.")
        return role
