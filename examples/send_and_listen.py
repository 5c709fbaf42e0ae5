"""Send a message and listen to its conversation, from Python.

    python send_and_listen.py http://127.0.0.1:8000 general alice 'hello, world'

Where the server asks for tokens, the variable TOKEN has one, such as `chatq token --user alice` prints.
Uses the standard library to send and ``simple-websocket``, which chatq brings along, to listen.
"""

import json
import os
import sys
import urllib.request
import uuid

from simple_websocket import Client

TOKEN = os.environ.get("TOKEN")


def send(server: str, conversation: str, user: str, content: str) -> str:
    """Post a message and return its id. The same ``clientMessageId`` may be posted again without harm."""
    body = {
        "conversationId": conversation,
        "messageData": {"senderId": user, "content": content, "clientMessageId": str(uuid.uuid4())},
    }
    headers = {"Content-Type": "application/json"}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    request = urllib.request.Request(f"{server}/api/messages", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        message_id: str = json.load(answer)["messageId"]
        return message_id


def main(server: str, conversation: str, user: str, content: str) -> None:
    socket = Client(server.replace("http", "ws", 1) + "/ws")
    try:
        socket.send(json.dumps({"type": "auth", **({"token": TOKEN} if TOKEN else {"userId": user})}))
        # Everything after event 0: what was said before, then what is said now.
        socket.send(json.dumps({"type": "join", "conversationId": conversation, "since": 0}))
        message_id = send(server, conversation, user, content)
        while True:
            frame = json.loads(socket.receive())
            if frame["type"] == "newMessage":
                message = frame["message"]
                print(f"{frame['seq']:>4} {message['senderId']}: {message['content']}")
                if message["id"] == message_id:
                    return
    finally:
        socket.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
