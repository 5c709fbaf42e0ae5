"""A network that swallows everything without a word: what neither end of a connection ever notices by itself."""

from __future__ import annotations

from pathlib import Path

from chatq.queue.handler_jobs import enqueue_handler_job
from tests.parts.command import Chatq
from tests.parts.installation import Installation
from tests.parts.proxy import Proxy
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

HANDLERS = """
from pathlib import Path
from chatq import handler

@handler("leaveAMark")
def leave_a_mark(path):
    Path(path).touch()
"""


def test_workers_that_a_dead_connection_left_deaf_find_their_way_back(
    chatq: Chatq, valkey: Valkey, proxy: Proxy, sqlite_url: str, tmp_path: Path
) -> None:
    # Given idle workers behind a network, and an edge that needs none
    (tmp_path / "marks.py").write_text(HANDLERS)
    installation = Installation(chatq, valkey.url, sqlite_url)
    messages = installation.start_worker(env={"REDIS_URL": proxy.url})
    handlers = installation.start_handlers("marks", env={"REDIS_URL": proxy.url})
    # When the network swallows whatever comes over their connections, and jobs come
    proxy.go_deaf()
    installation.send("hello")
    enqueue_handler_job(installation.redis, "leaveAMark", {"path": str(tmp_path / "mark")})
    # Then the workers notice, connect anew and do them
    installation.wait_for_contents(["hello"])
    until((tmp_path / "mark").exists)
    assert (messages.terminate(), handlers.terminate()) == (0, 0)
    installation.engine.dispose()
