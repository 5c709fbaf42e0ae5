"""``chatq worker``: takes jobs, persists, emits."""

# ruff: noqa: PLC0415  # heavy imports wait until a command runs

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chatq.cli.options import LOG, REDIS, DataDir, Purpose, ending
from chatq.errors import ExitCode

if TYPE_CHECKING:
    from chatq.settings import Settings

HELP_END = ending(
    "chatq worker",
    "chatq worker --processes 4 --only messages",
    "chatq worker --only handlers --app my_handlers",
    "chatq worker --burst  # do what is there, then end",
    variables=(*REDIS, "DATABASE_URL", "CHATQ_DATA_DIR", "CHATQ_LANES", "CHATQ_DURABILITY", *LOG),
)

Kind = Literal["messages", "handlers"]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("worker", epilog=HELP_END, rich_help_panel=Purpose.RUN)(worker)


def worker(
    *,
    processes: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that do message jobs.")] = 1,
    only: Annotated[Kind | None, typer.Option(help="Do only message jobs, or only run handlers.")] = None,
    burst: Annotated[bool, typer.Option("--burst", help="End with 0 when nothing is ready.")] = False,
    app: Annotated[str | None, typer.Option(metavar="MODULE", help="Module with your handlers.")] = None,
    data_dir: DataDir = None,
) -> ExitCode:
    """Take jobs, persist messages, emit events, run handlers.

    Message jobs and handlers are done by processes of their own. One that dies is started again; but if it
    ends with 2 (bad setting), 3 (Redis) or 4 (database), or under --burst, all end with its exit status.
    With --processes above 1, or without --only, one that does message jobs and hangs, without a sign of life
    for 10 seconds (30 on Postgres), is killed and replaced.
    """
    from chatq import settings

    chosen = settings.load({"CHATQ_DATA_DIR": data_dir})
    if only is None or processes > 1:
        return _supervise(chosen, processes, only, burst, app)
    _work(chosen, only, burst, app)
    return ExitCode.DONE


def _work(chosen: Settings, kind: Kind, burst: bool, app: str | None) -> None:
    """Do one kind of jobs in this process."""
    from functools import partial

    from chatq.cli.compose import check_belonging
    from chatq.cli.roles import prepare
    from chatq.supervise.heartbeat import take_over
    from chatq.worker.run import load_handlers, run_handlers, run_messages

    give_sign = take_over(os.environ)
    # Users' code never runs in the process that serves lanes.
    if app is not None and kind == "handlers":
        load_handlers(app)
    services = prepare(chosen, "worker" if kind == "messages" else "handlers")
    if kind == "messages":
        check = partial(check_belonging, services)
        run_messages(services.redis_url, services.engine, chosen.lanes, check, burst=burst, give_sign=give_sign)
    else:
        run_handlers(services.redis_url, burst=burst)


def _supervise(chosen: Settings, processes: int, only: Kind | None, burst: bool, app: str | None) -> ExitCode:
    """Run several worker processes, each of which does one kind of jobs."""
    import structlog

    from chatq import logs
    from chatq.supervise.death import PASSED_ON, Restarts
    from chatq.supervise.loop import supervise_plain
    from chatq.supervise.role import HANDLER_GRACE, Role, chatq_command
    from chatq.supervise.watchdog import hang_timeout

    logs.configure(chosen)
    arguments = ["--data-dir", str(chosen.data_dir), *(["--burst"] if burst else [])]
    kinds: list[Kind] = [only or "messages"] * processes
    if only is None:
        kinds.append("handlers")
    handlers = ["--app", app] if app is not None else []
    roles = [
        Role(
            f"{kind}.{number}",
            chatq_command("worker", "--only", kind, *arguments, *(handlers if kind == "handlers" else [])),
            {"CHATQ_LOG_FORMAT": chosen.log_format},
            may_end=burst,
            timeout=hang_timeout(chosen) if kind == "messages" else None,
            grace=10.0 if kind == "messages" else HANDLER_GRACE,
        )
        for number, kind in enumerate(kinds, 1)
    ]
    restarts = Restarts(0) if burst else Restarts(None, final=PASSED_ON)
    return supervise_plain(roles, restarts=restarts, say=structlog.get_logger("chatq.worker").info)
