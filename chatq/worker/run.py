"""The two kinds of worker process, from ready settings to the end."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event

from chatq.errors import BadUsage, ChatqError
from chatq.queue import keys
from chatq.queue.connection import connect, translated
from chatq.queue.handlers import REGISTRY
from chatq.queue.lanes import Lanes
from chatq.worker.handlers import HandlerWorker
from chatq.worker.messages import IDLE_SECONDS, MessageWorker
from chatq.worker.registration import Registration, new_name
from chatq.worker.signals import StopSignal

DOORBELL_SECONDS = IDLE_SECONDS + 5.0
"""How long the answer to a wait for the doorbell, or for a handler's job, may take before Redis counts as away."""


def run_messages(
    url: str,
    engine: Engine,
    lanes: int,
    check: Callable[[], None],
    *,
    burst: bool = False,
    give_sign: Callable[[], None] | None = None,
) -> None:
    """Do message jobs in this process until SIGTERM, or, with ``burst``, until none is ready.

    Args:
        url: of the Redis.
        engine: of the database.
        lanes: how many lanes the installation has.
        check: records in a Redis that was emptied whose it is; raises if it is another installation's.
        burst: end when nothing is ready.
        give_sign: shows a supervisor that this process does not hang; None if there is none.

    Raises:
        RedisError: Redis cannot be used at the start; once the worker runs, it waits for it.
    """
    stop = StopSignal()
    stop.install()
    client = connect(url)
    name = new_name("messages")
    with translated(url):
        # RQ's class asks Redis for this process's address.
        parts = Lanes(client, lanes, name), Registration(client, name, lanes, check, give_sign)
    if give_sign is not None:
        # A batch has many statements, each of which may take its time: between them the worker lives.
        event.listen(engine, "before_cursor_execute", lambda *_: give_sign())
    # A batch makes thousands of objects that die without the collector's help; looking through them at its usual
    # rate takes a sixth of the worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    MessageWorker(client, connect(url, timeout=DOORBELL_SECONDS), engine, *parts).run(stop, burst=burst)


def run_handlers(url: str, *, burst: bool = False) -> None:
    """Run the registered handlers in this process until SIGTERM, or, with ``burst``, until no job is ready.

    Raises:
        RedisError: Redis cannot be used at the start; once the worker runs, it waits for it.
    """
    stop = StopSignal()
    stop.install()
    queues = [keys.HANDLERS, *(queue for queue in REGISTRY.queues() if queue != keys.HANDLERS)]
    waiting = connect(url, timeout=DOORBELL_SECONDS)
    with translated(url):
        worker = HandlerWorker(connect(url), waiting, queues, new_name("handlers"))
    worker.run(stop, burst=burst)


def load_handlers(module: str) -> None:
    """Import a user's module, so that its ``@handler`` functions are registered.

    Modules are looked for in the current directory first, as ``python -m`` does.

    Raises:
        BadUsage: it cannot be imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        importlib.import_module(module)
    except ChatqError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise BadUsage(f"--app {module}: there is no module {error.name!r} here or installed.") from None
        raise BadUsage(f"--app {module}: it imports {error.name!r}, which is not installed.") from error
    except (Exception, SystemExit) as error:  # a user's module may fail in any way; the place is what helps
        raise BadUsage(f"--app {module}: importing it failed: {_where(error)}") from error


def _where(error: BaseException) -> str:
    """Return on one line what was raised, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})" if trace else ""
    [what, *_] = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {what}{place}"
