"""``chatq all``: the whole system on this machine, in one terminal."""

# ruff: noqa: PLC0415  # heavy imports wait until a command runs

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chatq.cli.api import VARIABLES, Insecure
from chatq.cli.options import ApiWorkers, DataDir, Host, Port, Purpose, ending
from chatq.errors import ExitCode

HELP_END = ending(
    "chatq all",
    "chatq all --workers 2 --api-workers 2 --restart 3",
    "chatq all --with 'web=npm run dev' --app my_handlers",
    "DATABASE_URL=postgresql://localhost/chatq chatq all --port 8080",
    variables=VARIABLES,
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("all", epilog=HELP_END, rich_help_panel=Purpose.RUN)(all_roles)


def all_roles(
    *,
    workers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Processes that do message jobs; 0 for no worker at all.")
    ] = 1,
    api_workers: ApiWorkers = None,
    restart: Annotated[
        int, typer.Option(min=0, metavar="N", help="Start a process that dies again, each so many times.")
    ] = 0,
    companions: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=COMMAND", help="Run a process of your own beside them. Repeatable."),
    ] = None,
    app: Annotated[
        str | None, typer.Option(metavar="MODULE", help="Module with your handlers, for the worker.")
    ] = None,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    insecure: Insecure = False,
) -> ExitCode:
    """Run the whole system on this machine: embedded Valkey, database, API and worker.

    The embedded Valkey is there if no REDIS_* variable is set. One Ctrl-C stops everything in order, a second
    one at once. If a process dies, everything stops, with exit status 1, or with the process's own if that is
    2 (bad setting), 3 (Redis) or 4 (database). A worker that does message jobs and hangs, without a sign of life
    for 10 seconds (30 on Postgres), is killed and replaced, which --restart does not count as a death.
    """
    from chatq import settings
    from chatq.settings.colour import in_colour
    from chatq.supervise import data_dir as directory
    from chatq.supervise import system
    from chatq.supervise.death import Restarts
    from chatq.supervise.loop import supervise_named
    from chatq.supervise.valkey import EmbeddedValkey
    from chatq.web.listen import check_exposure, listen

    chosen = settings.load(
        {"CHATQ_HOST": host, "CHATQ_PORT": port, "CHATQ_API_WORKERS": api_workers, "CHATQ_DATA_DIR": data_dir},
        terminal=sys.stdout.isatty(),
    )
    named = system.read_companions(companions or ())
    if chosen.api_workers and not (insecure or chosen.asks_for_tokens):
        check_exposure(chosen.host)
    directory.make_private(chosen.data_dir)
    lock = directory.hold(chosen.data_dir)
    if chosen.api_workers:
        listen(chosen.host, chosen.port).close()
    valkey = EmbeddedValkey(chosen.data_dir) if chosen.redis_url is None else None
    roles = system.roles(chosen, valkey=valkey, workers=workers, app=app, insecure=insecure, companions=named)
    return supervise_named(
        roles,
        restarts=Restarts(restart),
        descriptor=sys.stdout.fileno(),
        colour=in_colour(sys.stdout),
        hold=[lock],
    )
