"""The face of the client: what a program calls, from any thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

from chatq.client.asking import ask
from chatq.client.connection import CLOSE_TIMEOUT, Frame
from chatq.client.errors import ClientClosed, NoAnswer
from chatq.client.following import Joined, OnEvent
from chatq.client.handing import Handing
from chatq.client.history import Page, page_path, to_page
from chatq.client.sending import Accepted, Message
from chatq.client.session import Session, State
from chatq.errors import NotAuthenticated

T = TypeVar("T")


class Client:
    """A connection to a chatq server that comes back by itself."""

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[], str] | None = None,
        user_id: str | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        """Begin to connect.

        Args:
            url: the server's address, as ``https://chat.example.com``.
            token: a token, or a function that returns one; the function is called for each connection and
                shortly before a token expires, in a thread of its own.
            user_id: whom a server in development mode believes.
            on_event: called, in one thread and in order, with each event of conversations that were joined
                without a function of their own, and with all that belongs to no conversation; without it,
                :meth:`events` has them.
        """
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname or urlsplit(url).port == 0:
            raise ValueError(f"url must begin with http:// or https:// and a host, unlike {url!r}")
        if user_id is not None:
            _check_text(user_id=user_id)
        self._url = url.rstrip("/")
        self._get_token = (lambda: token) if isinstance(token, str) else token
        self._handing = Handing(on_event, lambda: self._post(self._session.followings.room))
        socket_url = f"{self._url.replace('http', 'ws', 1)}/ws"
        self._session = Session(socket_url, self._get_token, callable(token), user_id, self._handing)
        self._thread = threading.Thread(target=self._session.run, name="chatq-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def state(self) -> State:
        """``connecting``, ``online``, ``offline`` (it will try again) or ``closed`` (for good)."""
        return self._session.state

    def join(
        self,
        conversation_id: str,
        since: int | None = None,
        on_event: OnEvent | None = None,
        *,
        timeout: float | None = None,
    ) -> Joined:
        """Follow a conversation: from the event after ``since`` on, or from now on. Again, it starts anew there.

        An event ``reset`` among its events says that some were missed and are not kept: load the conversation
        anew, and join after that page.

        Raises:
            NoAnswer: not within ``timeout`` seconds; it is tried on.
            ChatqError: the server refuses, or the client is closed.
        """
        _check_text(conversation_id=conversation_id)
        if since is not None and not isinstance(since, int):
            raise TypeError(f"since must be an int, unlike {since!r}")
        outcome: Future[Joined] = Future()
        self._post(lambda: self._session.join(conversation_id, since, on_event, outcome))
        return _result(outcome, timeout, "The server has not answered yet; the client goes on trying.")

    def leave(self, conversation_id: str) -> None:
        """Follow a conversation no more."""
        _check_text(conversation_id=conversation_id)
        self._post(lambda: self._session.followings.leave(conversation_id, ClientClosed("The conversation was left.")))

    def events(self, timeout: float | None = None) -> Iterator[Frame]:
        """Yield events as the server says them, until the client is closed, or none comes in ``timeout`` seconds.

        Who does not keep up misses nothing: what finds no room is fetched from the server later.

        Raises:
            ChatqError: the client was closed, but not by its user.
        """
        while (event := self._handing.next(timeout)) is not None:
            yield event

    def send(
        self,
        conversation_id: str,
        content: str,
        *,
        metadata: dict[str, Any] | None = None,
        client_message_id: str | None = None,
        timeout: float | None = None,
    ) -> Accepted:
        """Send a message, again and again until it is accepted or refused.

        A ``client_message_id`` that was used before makes no second message.

        Raises:
            NoAnswer: not within ``timeout`` seconds. The message may have been accepted all the same; send it
                with the same ``client_message_id`` to know.
            ChatqError: the server refuses, or the client is closed.
            TypeError: something is not of its type, or not to be said in JSON.
            ValueError: ``metadata`` cannot be said in JSON.
        """
        data: dict[str, Any] = {"content": content, "clientMessageId": client_message_id or uuid4().hex}
        _check_text(conversation_id=conversation_id, **data)
        if metadata is not None:
            json.dumps(metadata, allow_nan=False)
            data["metadata"] = metadata
        message = Message(conversation_id, data)
        self._post(lambda: self._session.send(message))
        try:
            return _result(message.outcome, timeout, "The server has not accepted the message in time.")
        except NoAnswer:
            self._post(lambda: self._session.sending.withdraw(message))
            raise

    def status(self, message_id: str, status: Literal["delivered", "read"]) -> None:
        """Say that everything up to a message was delivered here, or read; does not wait."""
        _check_text(message_id=message_id, status=status)
        self._post(lambda: self._session.statuses.add(message_id, status))

    def typing(self, conversation_id: str, active: bool = True) -> None:
        """Say that one is writing, at every key if you like, or has stopped; without effect while not connected."""
        _check_text(conversation_id=conversation_id)
        self._post(lambda: self._session.say_typing(conversation_id, bool(active)))

    def history(
        self, conversation_id: str, *, before: int | None = None, after: int | None = None, limit: int | None = None
    ) -> Page:
        """Return a page of messages: those before or after an event number, or the newest.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        numbers = {"before": before, "after": after, "limit": limit}
        return to_page(self._ask("GET", page_path(conversation_id, numbers)))

    def conversations(self) -> list[dict[str, Any]]:
        """Return one's conversations, newest activity first, each with its ``lastMessage`` and ``unreadCount``.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        listed: list[dict[str, Any]] = self._ask("GET", "conversations")["conversations"]
        return listed

    def conversation(self, conversation_id: str) -> dict[str, Any]:
        """Return a conversation with its ``members``, and how far each of them has come.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        return self._ask("GET", f"conversations/{quote(conversation_id, safe='')}")

    def create_conversation(
        self, conversation_id: str | None = None, *, title: str | None = None, members: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Create a conversation of one's own and return it; one that is there already stays as it is.

        Without an id the server finds one.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses; ConversationExists if it is somebody else's.
        """
        wanted = {"id": conversation_id, "title": title, "members": list(members)}
        return self._ask("POST", "conversations", wanted)

    def add_member(self, conversation_id: str, user_id: str) -> None:
        """Let somebody be in a conversation; one who is stays as they are.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        self._ask("PUT", f"conversations/{quote(conversation_id, safe='')}/members/{quote(user_id, safe='')}", {})

    def message(self, message_id: str) -> dict[str, Any]:
        """Return what became of a message: its ``state`` and, once it is stored, the ``message`` itself.

        ``state`` is ``queued``, ``persisted``, ``failed`` (with the ``error``), ``expired`` or ``deleted``.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        return self._ask("GET", f"messages/{quote(message_id, safe='')}")

    def job(self, job_id: str) -> dict[str, Any]:
        """Return how far a job, such as :meth:`edit` tells of, has come: its ``name``, ``state``, times, ``error``.

        Raises:
            NoAnswer: the server does not answer.
            ChatqError: it refuses.
        """
        return self._ask("GET", f"jobs/{quote(job_id, safe='')}")

    def edit(self, message_id: str, content: str) -> dict[str, Any]:
        """Give a message new content, and return the ``jobId`` of that; ``messageEdited`` tells when it has it.

        Raises:
            NoAnswer: the server does not answer; whether it has accepted the change is not known.
            ChatqError: it refuses.
        """
        return self._ask("PATCH", f"messages/{quote(message_id, safe='')}", {"content": content})

    def delete(self, message_id: str) -> dict[str, Any]:
        """Erase a message, and return the ``jobId`` of that; ``messageDeleted`` tells when it is gone.

        A second time has no effect.

        Raises:
            NoAnswer: the server does not answer; whether it has accepted the deletion is not known.
            ChatqError: it refuses.
        """
        return self._ask("DELETE", f"messages/{quote(message_id, safe='')}")

    def close(self) -> None:
        """End the connection for good; what is not accepted yet is given up."""
        self._post(lambda: self._session.end(None))
        if threading.current_thread() is not self._thread:
            self._thread.join()
        if self._session.closing is not None:
            self._session.closing.join(CLOSE_TIMEOUT)

    def _ask(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        try:
            return ask(self._url, self._headers(self._session.tokens.current), method, path, document)
        except NotAuthenticated:
            return ask(self._url, self._headers(None), method, path, document)

    def _headers(self, known: str | None) -> dict[str, str]:
        token = known or (self._get_token() if self._get_token is not None else None)
        if token is not None:
            return {"Authorization": f"Bearer {token}"}
        return {"X-Chatq-User": self._session.user_id} if self._session.user_id else {}

    def _post(self, call: Callable[[], object]) -> None:
        self._session.loop.post(call)


def _check_text(**values: object) -> None:
    """Refuse here what could not be sent, where its sender sees it."""
    for name, value in values.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, unlike {value!r}")


def _result(outcome: Future[T], timeout: float | None, otherwise: str) -> T:
    try:
        return outcome.result(timeout)
    except TimeoutError:
        raise NoAnswer(otherwise) from None
