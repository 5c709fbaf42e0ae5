"""What API processes tell each other: all of it arrives, however much is told at once."""

from __future__ import annotations

import gevent

from chatq.queue import keys
from chatq.queue.connection import connect
from chatq.realtime.gossip import MARK, Gossip, Moves, read_piece
from tests.parts.valkey import Valkey
from tests.parts.waiting import PATIENCE_SECONDS


def test_a_process_with_very_many_conversations_tells_of_each(valkey: Valkey) -> None:
    client, listener = connect(valkey.url), valkey.client().pubsub()
    listener.subscribe(keys.conversation_channel("first"))
    listener.get_message(timeout=PATIENCE_SECONDS)
    gossip = Gossip(client)
    piece = Moves("process", ["alice"], [], ask=True)
    heard: list[bytes] = []
    with gevent.Timeout(PATIENCE_SECONDS):
        gossip.tell("first", piece)
        for number in range(20_000):
            gossip.tell(f"c{number}", piece)
        gossip.tell("first", piece)
        while len(heard) < 2:
            # Its turn, for whoever carries it.
            gevent.sleep(0)
            if (message := listener.get_message(timeout=0)) is not None:
                heard.append(message["data"].encode())
    assert all(line.startswith(MARK) for line in heard)
    assert [read_piece(line) for line in heard] == [piece, piece]
    listener.close()
    client.close()
