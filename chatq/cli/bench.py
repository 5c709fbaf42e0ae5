"""``chatq bench``: measures this installation."""

# ruff: noqa: PLC0415  # heavy imports wait until a command runs

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from chatq.cli.options import REDIS, TOKENS, DataDir, Purpose, ending
from chatq.errors import ExitCode

HELP_END = ending(
    "chatq bench",
    "chatq bench --json > before.json",
    "chatq bench --compare before.json  # after the change",
    "chatq bench --messages 500  # a quick look",
    variables=(
        *REDIS,
        "DATABASE_URL",
        "CHATQ_DATA_DIR",
        "CHATQ_API_WORKERS",
        "CHATQ_LANES",
        *TOKENS,
        "CHATQ_DURABILITY",
        "CHATQ_MAX_QUEUE_DEPTH",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(epilog=HELP_END, rich_help_panel=Purpose.CARE)(bench)


def bench(
    *,
    messages: Annotated[
        int, typer.Option(min=1, metavar="N", help="Messages that are posted in each stage; the others follow from it.")
    ] = 5000,
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with an earlier run: what --json printed.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: DataDir = None,
) -> ExitCode:
    """Measure this installation: accept, drain, end to end and fan-out.

    Starts an API and a worker of its own on the Redis and the database that the settings name, posts messages to
    conversations of its own, and removes everything at the end.

    A figure is a rate, or the time that half of all messages (p50) and 99 of 100 (p99) took at most. accept is from
    POST to 202, stored from accepted to persisted, delivered from persisted to the websocket, total from POST to the
    websocket. The client that measures runs on the same machine, and takes its share of it.

    Exit status 1 if other message jobs wait, whose figures these would be, or if something was left behind.
    """
    from chatq.cli.bench_tables import print_report
    from chatq.cli.compose import build, check
    from chatq.cli.progress import steps
    from chatq.cli.terminal import console, say
    from chatq.domain.wire import encode
    from chatq.ops.bench.comparison import compare as compared
    from chatq.ops.bench.report import read_report
    from chatq.ops.bench.run import Bench
    from chatq.settings import load, without_password
    from chatq.supervise.guard import Guard
    from chatq.supervise.role import chatq_command

    before = None if compare is None else read_report(compare)
    settings = load({"CHATQ_DATA_DIR": data_dir})
    services = build(settings)
    errors = console(stderr=True)

    tell = partial(say, errors)
    tell(f"Redis: {without_password(services.redis_url)}\nDatabase: {without_password(settings.database_url)}")
    check(services)
    guard = Guard()
    try:
        with steps(errors) as show:
            run = Bench(services, messages, command=chatq_command, guard=guard, say=tell, show=show)
            report = run.run()
    finally:
        guard.close()
    if before is not None:
        report.comparison = compared(report, before)
    if json:
        typer.echo(encode(report))
    else:
        print_report(report)
    return ExitCode.FAILED if run.left_behind else ExitCode.DONE
