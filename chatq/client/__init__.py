"""A client of chatq's websocket for Python programs, in plain threads or under gevent's monkey-patching.

    from chatq.client import Client

    with Client("http://127.0.0.1:8000", user_id="alice") as client:
        page = client.history("general")
        client.join("general", since=page.seq)
        client.send("general", "hello")
        for event in client.events():
            print(event["type"])

It behaves as the browser's ``/static/chatq.js`` does: reconnects with jittered backoff, joins again after the
last event that it has, drops what it has already, notices what is missing, and sends again under the same
``clientMessageId`` until the server has accepted or refused; where it was too fast, after as long as the server says.

``client`` is the face; ``session`` one client's life from connection to connection; ``following``, ``sending``
and ``statuses`` what is followed, sent and marked through all of them; ``line`` the questions that one
``connection`` carries; ``tokens`` what it shows the server; ``loop`` the thread in which all this happens, and so
needs no locks; ``handing`` the way out of it; ``asking`` what is asked over HTTP, and ``history`` a page of what was
said. Nothing here knows the server's code but its errors.
"""

from chatq.client.client import Client
from chatq.client.errors import ClientClosed, ConnectionRefused, NoAnswer
from chatq.client.following import Joined
from chatq.client.history import Page
from chatq.client.sending import Accepted

__all__ = ["Accepted", "Client", "ClientClosed", "ConnectionRefused", "Joined", "NoAnswer", "Page"]
