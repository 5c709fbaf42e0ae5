"""What the server says over the websocket; events, the rest of it, are in :mod:`chatq.domain.events`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from chatq.domain.wire import Wire


class ServerFrame(Wire, tag_field="type"):
    """What all frames of a server have: their ``type``."""


class Hello(ServerFrame, tag="hello"):
    """Greet a client: the first frame of a connection."""

    connection_id: str
    """Another one for each connection."""
    heartbeat_seconds: int
    """How often a client does well to ``ping``; one of which nothing is heard for twice as long is taken for gone."""
    auth_required: bool
    """Whether it has to show a token before anything else."""


class Authenticated(ServerFrame, tag="authenticated"):
    """Tell a client who it is from now on."""

    user_id: str


class Joined(ServerFrame, tag="joined"):
    """Tell a client that it follows a conversation; events after ``since`` come next, then each as it happens."""

    conversation_id: str
    seq: int
    """Number of the conversation's newest event; 0 if there is none."""
    recovered: bool
    """Whether every event after ``since`` follows. If not, the client has to load the conversation anew."""


class Left(ServerFrame, tag="left"):
    """Tell a client that it follows a conversation no more: it said so, or its user was removed."""

    conversation_id: str


class Accepted(ServerFrame, tag="accepted"):
    """Promise what a 202 promises. It and the message's own ``newMessage`` may come in either order."""

    ref: str
    """As in the ``send`` that this answers."""
    message_id: str
    job_id: str


class Error(ServerFrame, tag="error"):
    """Tell a client that a frame of its had no effect, and why; the connection stays open."""

    code: str
    """Stable name of the problem; ``/problems/<code>`` explains it."""
    detail: str
    """What is wrong, in words."""
    retry_after: int | UnsetType = UNSET
    """Seconds after which it is worth to try again."""
    ref: str | UnsetType = UNSET
    """As in the frame that this answers, if that had one."""


class Pong(ServerFrame, tag="pong"):
    """Answer a ``ping``."""

    seqs: dict[str, int]
    """Of each conversation that the client follows, by its id, the number of the newest event, from the database."""


class Typing(ServerFrame, tag="typing"):
    """Tell the others in a conversation that a user is typing, or is not any more."""

    conversation_id: str
    user_id: str
    active: bool


class Presence(ServerFrame, tag="presence"):
    """Tell who is there in a conversation, one user a frame, and then who comes and who leaves."""

    conversation_id: str
    user_id: str
    online: bool
