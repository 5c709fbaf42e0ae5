"""Who may do what: every cell of the README's table, as it is, at a running system."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from chatq.cli.compose import build
from chatq.realtime.client_frames import DEVELOPMENT_LANGUAGE
from chatq.settings import load
from chatq.web.app import create_app
from chatq.web.explanations import EXPLANATIONS
from tests.parts.client import Client
from tests.parts.people import SECRET, Person
from tests.parts.roles import Roles, beside, fresh
from tests.parts.root import ROOT
from tests.parts.waiting import until

README = ROOT / "README.md"
PEOPLE = ("anonymous", "stranger", "member", "author", "owner", "service", "development")
ALLOWED = "yes"


def table() -> dict[str, dict[str, str]]:
    """Return the README's table: for each action, for each kind of people, ``yes`` or the status of the refusal."""
    lines = README.read_text().splitlines()
    begin = lines.index(f"| | {' | '.join(PEOPLE)} |") + 2
    rows = [line.strip("|").split("|") for line in lines[begin : lines.index("", begin)]]
    return {name.strip(): dict(zip(PEOPLE, map(str.strip, cells), strict=True)) for name, *cells in rows}


@dataclass
class World:
    """A conversation with an owner, a member, and somebody who wrote a message; and who asks."""

    who: Person
    in_development: bool
    owner: Person
    author: Person
    conversation: str
    message: str
    handlers_job: str
    nobody: str

    def request(self, method: str, path: str, document: object = None) -> int:
        return self.who.ask(method, path, document).status_code

    def say(self, kind: str, **fields: Any) -> int:
        """Say something over a socket; return 0, or the status of the error that came back."""
        with self.who.connect() as client:
            client.say(kind, **fields)
            return outcome(client)

    def tell(self, kind: str, **fields: Any) -> int:
        """Join, and say something that is answered only if it is refused; return 0, or the status of the error."""
        with self.who.connect() as client:
            client.say("join", conversationId=self.conversation)
            outcome(client)
            client.say(kind, **fields)
            client.say("ping")
            while (frame := client.hear())["type"] != "pong":
                if frame["type"] == "error":
                    return EXPLANATIONS[frame["code"]].example.status
            return 0


def outcome(client: Client) -> int:
    """Return 0, or the status of the error that a client was answered."""
    frame = client.hear()
    return EXPLANATIONS[frame["code"]].example.status if frame["type"] == "error" else 0


@pytest.fixture(scope="module")
def guarded(roles: Roles) -> Iterator[Roles]:
    """An API that asks for tokens, beside one that believes everybody; a worker does what both accept."""
    with beside(roles, env={"CHATQ_JWT_SECRET": SECRET}) as guarded:
        yield guarded


@pytest.fixture(scope="module")
def handlers_job(roles: Roles) -> str:
    """The id of a job that is in no conversation."""
    done = roles.chatq("enqueue", "resizeImage", "width=10", "--json", env=roles.environment)
    return str(json.loads(done.stdout)["jobId"])


@pytest.fixture
def make(roles: Roles, guarded: Roles, handlers_job: str) -> Callable[[str], World]:
    """A function that makes a world in which somebody of this kind asks."""

    def make(kind: str) -> World:
        end = uuid4().hex[:6]
        owner, author, member = (Person(guarded, f"{name}-{end}") for name in ("owner", "author", "member"))
        asking = {
            "anonymous": Person(guarded, None),
            "stranger": Person(guarded, f"stranger-{end}"),
            "member": member,
            "author": author,
            "owner": owner,
            "service": Person(guarded, f"service-{end}", service=True),
            "development": Person(roles, f"anybody-{end}", signed=False),
        }
        conversation = fresh()
        owner.make(conversation, author, member)
        # There is another owner, so that each may leave.
        owner.ask("PUT", f"/api/conversations/{conversation}/members/{author.name}-too", {"role": "owner"})
        message = author.sent(conversation, "hello")
        world = World(
            who=asking[kind],
            in_development=kind == "development",
            owner=owner,
            author=author,
            conversation=conversation,
            message=message,
            handlers_job=handlers_job,
            nobody=f"nobody-{end}",
        )
        wait_until(author, message, "persisted")
        return world

    return make


def wait_until(person: Person, message: str, state: str) -> None:
    until(lambda: person.ask("GET", f"/api/messages/{message}").json().get("state") == state, what=f"{message} {state}")


# --- the actions, each under its name in the table ---------------------------------------------------


PUBLIC = ("/", "/healthz", "/readyz", "/problems", "/problems/forbidden", "/docs", "/openapi.json", "/asyncapi.json")


def see_public(world: World) -> int:
    statuses = {world.request("GET", path) for path in PUBLIC}
    assert len(statuses) == 1
    return statuses.pop()


def send_many(world: World) -> int:
    message = {"conversationId": world.conversation, "messageData": {"content": "x"}}
    answer = world.who.ask("POST", "/api/messages/batch", {"messages": [message]})
    return status_of_first(answer)


def status_of_first(answer: httpx.Response) -> int:
    """Return the status of the first message of a batch, or of the whole batch if it was refused."""
    if answer.status_code != 202:
        return answer.status_code
    (result,) = answer.json()["results"]
    return int(result.get("status")) if "code" in result else 202


def send_as_another(world: World) -> int:
    if world.in_development:
        # There the body says who sends, if nothing else does.
        del world.who.headers["X-Chatq-User"]
    return world.who.send(world.conversation, "x", senderId=world.nobody).status_code


def expired(world: World) -> str:
    """Return the id of the author's message that expired: its job has the same."""
    body = {
        "conversationId": world.conversation,
        "messageData": {"content": "too late"},
        "expiresAt": "2020-01-01T00:00:00Z",
    }
    message = world.author.ask("POST", "/api/messages", body).json()["messageId"]
    wait_until(world.author, message, "expired")
    return str(message)


def leave_for_good(world: World) -> int:
    return world.request("DELETE", f"/api/conversations/{world.conversation}/members/{world.who.name or 'x'}")


def send_over_socket_as_another(world: World) -> int:
    if world.in_development:
        world.who.proof = {}
    data = {"content": "x", "senderId": world.nobody}
    return world.say("send", ref="1", conversationId=world.conversation, messageData=data)


ACTIONS: dict[str, Callable[[World], int]] = {
    "the pages, `/openapi.json`, `/asyncapi.json`, `/healthz`, `/readyz`": see_public,
    "`POST /api/conversations`": lambda w: w.request("POST", "/api/conversations", {}),
    "`GET /api/conversations`: one's own": lambda w: w.request("GET", "/api/conversations"),
    "`GET /api/conversations/{id}`": lambda w: w.request("GET", f"/api/conversations/{w.conversation}"),
    "`GET …/messages`": lambda w: w.request("GET", f"/api/conversations/{w.conversation}/messages"),
    "`GET …/messages` of a conversation that does not exist": lambda w: w.request(
        "GET", f"/api/conversations/{fresh()}/messages"
    ),
    "`PUT …/members/{user}`": lambda w: w.request(
        "PUT", f"/api/conversations/{w.conversation}/members/{w.nobody}", {"role": "owner"}
    ),
    "`DELETE …/members/{user}`": lambda w: w.request(
        "DELETE", f"/api/conversations/{w.conversation}/members/{w.author.name}-too"
    ),
    "`DELETE …/members/{oneself}`": leave_for_good,
    "`POST /api/messages`": lambda w: w.who.send(w.conversation, "x").status_code,
    "`POST /api/messages` to a conversation that does not exist": lambda w: w.who.send(fresh(), "x").status_code,
    "`POST /api/messages` with another's `senderId`": send_as_another,
    "`POST /api/messages/batch`: each message": send_many,
    "`GET /api/messages/{id}`": lambda w: w.request("GET", f"/api/messages/{w.message}"),
    "`GET /api/messages/{id}` of one that failed or expired": lambda w: w.request("GET", f"/api/messages/{expired(w)}"),
    "`PATCH /api/messages/{id}` {`content`}": lambda w: w.request(
        "PATCH", f"/api/messages/{w.message}", {"content": "edited"}
    ),
    "`PATCH /api/messages/{id}` {`status`}: one's own": lambda w: w.request(
        "PATCH", f"/api/messages/{w.message}", {"status": "read"}
    ),
    "`DELETE /api/messages/{id}`": lambda w: w.request("DELETE", f"/api/messages/{w.message}"),
    "`GET /api/jobs/{id}` of a message": lambda w: w.request("GET", f"/api/jobs/{w.message}"),
    "`GET /api/jobs/{id}` of a message that failed or expired": lambda w: w.request("GET", f"/api/jobs/{expired(w)}"),
    "`GET /api/jobs/{id}` of a handler": lambda w: w.request("GET", f"/api/jobs/{w.handlers_job}"),
    "socket: `ping`": lambda w: w.say("ping"),
    "socket: `join`": lambda w: w.say("join", conversationId=w.conversation),
    "socket: `join` where no conversation exists": lambda w: w.say("join", conversationId=fresh()),
    "socket: `leave`": lambda w: w.say("leave", conversationId=w.conversation),
    "socket: `send`": lambda w: w.say(
        "send", ref="1", conversationId=w.conversation, messageData={"content": "over the socket"}
    ),
    "socket: `send` with another's `senderId`": send_over_socket_as_another,
    "socket: `status`: one's own": lambda w: w.tell("status", messageId=w.message, status="read"),
    "socket: `typing`": lambda w: w.tell("typing", conversationId=w.conversation, active=True),
}

CELLS = [(action, kind) for action in table() for kind in PEOPLE]


def test_the_table_has_every_action() -> None:
    assert list(table()) == list(ACTIONS)


def test_there_is_no_action_but_those(tmp_path: Path) -> None:
    settings = load({}, {"DATABASE_URL": f"sqlite:///{tmp_path}/none", "REDIS_URL": "unix:///nowhere"})
    app = create_app(build(settings))
    routes = [(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods or ()]
    expected = {
        *(
            f"`{method} {_shown(path)}"
            for method, path in routes
            if method not in {"HEAD", "OPTIONS"} and "/api/" in path
        ),
        *(f"socket: `{kind}`" for kind in DEVELOPMENT_LANGUAGE._kinds if kind != "auth"),
    }
    assert [action for action in expected if not any(told.startswith(action) for told in table())] == []


def _shown(path: str) -> str:
    """Return a route's path as the table writes it."""
    path = path.replace("<user_id>", "{user}")
    path = re.sub(r"<\w+>", "{id}", path)
    return path if path.count("/") < 4 else path.replace("/api/conversations/{id}", "…")


# Rights are decided in front of the database; what it is asked for them is tried on both kinds by test_members.py.
@pytest.mark.parametrize("roles", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("action", "kind"), CELLS, ids=lambda part: re.sub(r"[^a-z]+", "-", part.lower()).strip("-"))
def test_the_table_tells_the_truth(make: Callable[[str], World], action: str, kind: str) -> None:
    told = table()[action][kind]
    world = make(kind)

    status = ACTIONS[action](world)

    if told == ALLOWED:
        assert status < 300
    else:
        assert status == int(told)
        # And nothing has happened.
        members = world.owner.roles_in(world.conversation)
        assert len(members) == 4
        last = world.author.sent(world.conversation, "after")
        wait_until(world.author, last, "persisted")
        page = world.owner.ask("GET", f"/api/conversations/{world.conversation}/messages").json()
        assert [message["content"] for message in page["messages"]] == ["hello", "after"]
        assert page["seq"] == 2
