"""A client for Python, in a process of its own: takes commands and tells of events, one JSON document a line.

With ``tokenFile`` in the options, tokens are read from there. An error is told by its code.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gevent.fileobject import FileObjectThread
from gevent.monkey import is_module_patched

from chatq.client import Client
from chatq.errors import ChatqError

telling = threading.Lock()


def tell(**line: Any) -> None:
    with telling:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def open_client(options: dict[str, Any]) -> Client:
    def get_token() -> str:
        tell(event={"type": "token"})
        return Path(options["tokenFile"]).read_text()

    token = get_token if "tokenFile" in options else options.get("token")
    return Client(options["url"], token=token, user_id=options.get("userId"), on_event=lambda event: tell(event=event))


def commands_of(client: Client) -> dict[str, Callable[..., Any]]:
    def send(conversation_id: str, content: str, client_message_id: str | None = None, **rest: Any) -> Any:
        return client.send(conversation_id, content, client_message_id=client_message_id, **rest)

    return {
        "join": client.join,
        "leave": client.leave,
        "send": send,
        "sendAll": lambda conversation_id, contents: [client.send(conversation_id, each) for each in contents],
        "status": client.status,
        "typing": client.typing,
        "history": client.history,
        "conversations": client.conversations,
        "conversation": client.conversation,
        "createConversation": client.create_conversation,
        "addMember": client.add_member,
        "message": client.message,
        "job": client.job,
        "edit": client.edit,
        "delete": client.delete,
        "state": lambda: client.state,
        "close": client.close,
    }


def run(commands: dict[str, Callable[..., Any]], number: int, command: str, fields: dict[str, Any]) -> None:
    try:
        tell(id=number, result=plain(commands[command](**fields)))
    except ChatqError as error:
        tell(id=number, error=error.code if error.code != ChatqError.code else type(error).__name__)


def plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(name): plain(each) for name, each in dataclasses.asdict(value).items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def main() -> None:
    client = open_client(json.loads(sys.argv[1]))
    commands = commands_of(client)
    # Under gevent, a plain read of stdin would stop all other greenlets.
    for line in FileObjectThread(sys.stdin) if is_module_patched("threading") else sys.stdin:
        fields = {snake(name): value for name, value in json.loads(line).items()}
        number, command = fields.pop("id"), fields.pop("command")
        threading.Thread(target=run, args=(commands, number, command, fields), daemon=True).start()
    client.close()
    sys.stdout.flush()
    # Threads that wait for an answer that nobody wants any more are not waited for.
    os._exit(0)
