"""Send a message and listen to its conversation, from Python.

    python send_and_listen.py http://127.0.0.1:8000 general alice 'hello, world'

Where the server asks for tokens, the variable TOKEN has one, such as `chatq token --user alice` prints.
"""

import os
import sys

from chatq.client import Client


def main(server: str, conversation: str, user: str, content: str) -> None:
    with Client(server, user_id=user, token=os.environ.get("TOKEN")) as client:
        # Everything after event 0: what was said before, then what is said now.
        client.join(conversation, since=0)
        accepted = client.send(conversation, content)
        for event in client.events():
            if event["type"] == "newMessage":
                message = event["message"]
                print(f"{event['seq']:>4} {message['senderId']}: {message['content']}")
                if message["id"] == accepted.message_id:
                    return


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
