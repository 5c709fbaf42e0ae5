"""``chatq redis-check``: is Redis fit for this job?"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from chatq.cli.options import REDIS, DataDir, Purpose, ending
from chatq.cli.terminal import console, say
from chatq.errors import ExitCode
from chatq.settings import load

if TYPE_CHECKING:
    from chatq.ops.finding import Finding
    from chatq.ops.redis_check import Report

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    examples = (
        "chatq redis-check",
        "chatq redis-check --wait 30 && chatq worker  # once Redis is up",
        "chatq redis-check --json | jq -r .url",
    )
    variables = (*REDIS, "CHATQ_DATA_DIR", "CHATQ_DURABILITY")
    end = ending(*examples, variables=variables)
    app.command("redis-check", epilog=end, rich_help_panel=Purpose.CARE)(redis_check)


def redis_check(
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document: url, fit, findings.")] = False,
    wait: Annotated[
        float,
        typer.Option(help="Try again for so long while it cannot be reached or still loads.", metavar="SECONDS", min=0),
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Is Redis fit for this job?

    Looks at whether it can be reached, its version, role, eviction policy, persistence, memory and latency; says of
    everything that is not as it should be why that matters and what to do.

    Exit status 0 if it is fit, warnings allowed; 3 if it is not, or cannot be reached.
    """
    from chatq.cli.progress import spinner  # noqa: PLC0415  # heavy
    from chatq.cli.redis_services import build_redis  # noqa: PLC0415  # heavy
    from chatq.domain.wire import encode  # noqa: PLC0415  # heavy
    from chatq.ops.redis_check import check_redis  # noqa: PLC0415  # heavy

    services = build_redis(load({"CHATQ_DATA_DIR": data_dir}))
    with ExitStack() as while_waiting:

        def tell(finding: Finding) -> None:
            errors = console(stderr=True)
            say(errors, f"waiting: {finding.value}")
            while_waiting.enter_context(spinner(errors, "waiting for Redis", seconds=wait))

        report = check_redis(services.redis_url, services.durability, wait=wait, on_wait=tell)
    if json:
        typer.echo(encode(report))
    elif sys.stdout.isatty():
        _print_table(report)
    else:
        _print_lines(report)
    if not report.fit:
        raise typer.Exit(ExitCode.REDIS)


def _print_lines(report: Report) -> None:
    typer.echo(f"redis {report.url}")
    for finding in report.findings:
        why = f" (cause: {finding.cause}; remedy: {finding.remedy})" if finding.cause else ""
        typer.echo(f"{finding.level} {finding.check}: {finding.value}{why}")


def _print_table(report: Report) -> None:
    from rich.table import Table  # noqa: PLC0415  # heavy
    from rich.text import Text  # noqa: PLC0415  # heavy

    table = Table(title=Text(f"Redis at {report.url}"), title_justify="left", box=None, pad_edge=False)
    for heading in ("", "check", "found"):
        table.add_column(heading)
    for finding in report.findings:
        found = Text(finding.value)
        if finding.cause:
            found.append(f"\n{finding.cause}", "dim").append(f"\n→ {finding.remedy}")
        table.add_row(Text(finding.level, _COLOURS[finding.level]), finding.check, found)
    console().print(table)
