"""The application: its routes, and the one place where errors become answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from chatq.access.limits import Limits
from chatq.access.membership import Memberships
from chatq.access.rules import Rules
from chatq.queue.intake import Intake
from chatq.realtime.deadlines import Deadlines
from chatq.realtime.hub import Hub
from chatq.realtime.questions import Questions
from chatq.realtime.sending import Sending
from chatq.realtime.shared import Shared
from chatq.store.failures import have_pending_failures
from chatq.web import problems
from chatq.web.answers import Answer, Header
from chatq.web.batch import Batch
from chatq.web.conversations import Conversations
from chatq.web.documents import Documents
from chatq.web.health import Health
from chatq.web.identity import Identity
from chatq.web.interface import OPERATIONS
from chatq.web.jobs import Jobs
from chatq.web.members import Members
from chatq.web.messages import Messages
from chatq.web.page import Page
from chatq.web.problem_pages import ProblemPages
from chatq.web.requests import Environ
from chatq.web.security import Gate, preflight
from chatq.web.services import Services
from chatq.web.static_files import StaticFiles
from chatq.web.websocket import Sockets

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


_HOTTEST = ("POST", "/api/messages")


class App(Flask):
    """Flask, with the gate in front of it, and the hottest route served without its dispatch."""

    def __init__(self, services: Services) -> None:
        super().__init__("chatq.web", static_folder=None)
        self.url_map.merge_slashes = False
        self.gate = Gate(services.settings)
        tokens = services.tokens()
        self._identity = Identity(tokens)
        memberships = Memberships(services.engine)
        rules = Rules(memberships)
        self.hub = Hub(services.bus_redis(), services.redis, services.engine, memberships)
        if tokens is not None:
            self.hub.listen()
        intake = Intake(services.edge, services.settings.lanes)
        self._messages = Messages(services, intake, rules)
        self.extensions["chatq.drain"] = self.hub.drain
        self._add_routes(services, intake, rules, memberships)
        rate = services.settings.rate_limit
        shared = Shared(
            hub=self.hub,
            intake=intake,
            sending=Sending(intake.accept_many),
            failing=Questions(partial(have_pending_failures, services.engine)),
            engine=services.engine,
            redis=services.redis,
            rules=rules,
            tokens=tokens,
            deadlines=Deadlines(),
            limits=None if rate is None else Limits(rate, services.redis),
            max_content_bytes=services.settings.max_content_bytes,
        )
        self.sockets = Sockets(self.gate, shared)
        self.sockets.add_to(self)
        self.before_request(self._identify)
        self.register_error_handler(Exception, self._problem)

    def wsgi_app(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == _HOTTEST:
            return self.accept_message(environ)(environ, start_response)
        headers: list[Header] = []
        try:
            headers = self.gate.admit(environ)
            answer = preflight(environ)
        except Exception as error:  # noqa: BLE001  # the last one who can answer
            answer = problems.problem(error, environ["REQUEST_METHOD"])
        if answer is None:
            return super().wsgi_app(environ, _adding(headers, start_response) if headers else start_response)
        return answer.with_headers(headers)(environ, start_response)

    def accept_message(self, environ: Environ) -> Answer:
        """Serve the hottest route."""
        headers: list[Header] = []
        try:
            headers = self.gate.admit(environ)
            self._identity.establish(environ)
            answer = self._messages.post(environ)
        except Exception as error:  # noqa: BLE001  # the last one who can answer
            answer = problems.problem(error, "POST")
        return answer.with_headers(headers)

    def make_response(self, rv: Any) -> Response:
        """Turn what a view returned into Flask's kind of answer."""
        if isinstance(rv, Answer):
            return Response(rv.body, rv.status, rv.headers)
        return super().make_response(rv)

    def _add_routes(self, services: Services, intake: Intake, rules: Rules, memberships: Memberships) -> None:
        messages, conversations = self._messages, Conversations(services, rules)
        members = Members(services, rules, memberships)
        health, problem_pages, static = Health(services), ProblemPages(), StaticFiles()
        with_tokens = services.settings.asks_for_tokens
        documents = Documents(with_tokens=with_tokens, origins=services.settings.allowed_origins)
        views: dict[str, Callable[..., Answer]] = {
            # The hottest route comes here only where its path is spelled in another way.
            "sendMessage": self._post_through_flask,
            "sendMessages": Batch(services, intake, rules).post,
            "getMessage": messages.show,
            "changeMessage": messages.change,
            "deleteMessage": messages.delete,
            "listConversations": conversations.index,
            "createConversation": conversations.create,
            "getConversation": conversations.show,
            "listMessages": conversations.page,
            "putMember": members.put,
            "removeMember": members.remove,
            "getJob": Jobs(services, rules).show,
            "getLiveness": health.live,
            "getReadiness": health.ready,
            "getOpenApi": documents.http,
            "getAsyncApi": documents.socket,
            "getClient": partial(static.show, "chatq.js"),
            "showChat": Page("chat", with_tokens=with_tokens).show,
            "showDocs": Page("docs", with_tokens=with_tokens).show,
            "showProblems": problem_pages.index,
            "showProblem": problem_pages.show,
        }
        for operation in OPERATIONS:
            self.add_url_rule(operation.rule, operation.name, views[operation.name], methods=[operation.method])
        self.add_url_rule("/static/<path:path>", "static", static.show, methods=["GET"])

    def _post_through_flask(self) -> Answer:
        """Serve the hottest route as any other."""
        return self._messages.post(request.environ)

    def _identify(self) -> None:
        """Find out who calls, whatever the route, so that none can forget to ask."""
        # By the rule, not by the path, which may be spelled in more than one way.
        if request.url_rule is not None and request.url_rule.rule.startswith("/api/"):
            self._identity.establish(request.environ)

    def _problem(self, error: Exception) -> Answer:
        return problems.problem(error, request.method)


def create_app(services: Services) -> App:
    """Return the application of one process; it connects when it is first asked."""
    return App(services)


def _adding(headers: list[Header], start_response: StartResponse) -> StartResponse:
    def start(status: str, own: list[Header], exc_info: Any = None, /) -> Any:
        return start_response(status, own + headers, exc_info)

    return start
