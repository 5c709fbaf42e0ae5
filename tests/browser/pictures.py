"""A conversation as one would like to show it, and how a picture of it is taken."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.talking import store_many
from tests.parts.client import Client
from tests.parts.roles import Roles
from tests.parts.waiting import until

NOW = "2026-03-12T10:26:00Z"
"""When the pictures are taken, as the pages believe."""
SHARP = {"device_scale_factor": 2, "locale": "en-GB", "timezone_id": "UTC", "reduced_motion": "reduce"}
"""Options of a browser's context: pictures are the same wherever and whenever they are taken."""

TITLES = {"lunch": "Lunch by the river", "design": "Design review", "on-call": "On call", "launch": "Launch week"}
"""The conversations, the one that was used last at the end."""
CHANGES = [
    ("bob", "wrong window, sorry", None),
    ("alice", "Then let us do it at 11.", {"content": "Then let us do it at 11:00. I will watch the failure rate."}),
    ("alice", "Agreed, let us take that one.", {"status": "read"}),
    ("alice", "Quiet night. One alarm, and it was the alarm.", {"status": "read"}),
    ("alice", "The new place by the river?", {"status": "read"}),
    ("bob", "11:00 it is. I have told support.", {"status": "read"}),
    ("carol", "Thank you both!", {"status": "delivered"}),
]
"""Who changes which message, and how; None deletes it."""
SAID = Path(__file__).with_name("said.jsonl")


def tell(roles: Roles) -> None:
    """Have all of it said, read, edited and deleted by the people that it belongs to."""
    for id_, title in TITLES.items():
        members = ["bob", "carol", "mei", "dmitri"]
        done = roles.http.post(
            "/api/conversations",
            json={"id": id_, "title": title, "members": members},
            headers={"X-Chatq-User": "alice"},
        )
        assert done.status_code == 201, done.text
    messages = [json.loads(line) for line in SAID.read_text().splitlines()]
    # One conversation after the other: the list has the newest at its top.
    for room in TITLES:
        store_many(roles, (each for each in messages if each["conversationId"] == room))
    said = {message["content"]: message["id"] for room in TITLES for message in roles.page(room)["messages"]}
    for sender, content, change in CHANGES:
        answer = roles.http.request(
            "DELETE" if change is None else "PATCH",
            f"/api/messages/{said[content]}",
            json=change,
            headers={"X-Chatq-User": sender},
        )
        assert answer.status_code == 202, answer.text
    until(lambda: roles.page("launch")["messages"][-1]["status"] == "delivered", what="all of it done")


@contextmanager
def company(roles: Roles, *users: str, room: str = "launch") -> Iterator[dict[str, Client]]:
    """Have people be there, by their names."""
    with ExitStack() as stack:
        clients = {user: stack.enter_context(roles.connect()) for user in users}
        for user, client in clients.items():
            client.say("auth", userId=user)
            client.say("join", conversationId=room)
        yield clients


def take(page: Page, path: Path) -> Path:
    """Take a picture of what is in a page's window, and return where it is."""
    page.evaluate("document.fonts.ready")
    page.screenshot(path=path, caret="hide", animations="disabled")
    return path


def size(picture: Path) -> tuple[int, int]:
    """Return the width and the height of a PNG file."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height
