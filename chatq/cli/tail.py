"""``chatq tail``: follows a conversation in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from chatq.cli.completion import conversation_ids
from chatq.cli.options import REDIS, DataDir, Purpose, ending
from chatq.errors import BadUsage, ExitCode

LINES = 10

HELP_END = ending(
    "chatq tail general",
    "chatq tail general --lines 100",
    "chatq tail general --since 41  # whatever came after event 41",
    "chatq tail general --json | jq -r '.message.content // empty'",
    variables=(*REDIS, "DATABASE_URL", "CHATQ_DATA_DIR", "CHATQ_DURABILITY", "CHATQ_LANES"),
)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("tail", epilog=HELP_END, rich_help_panel=Purpose.TALK)(tail)


def tail(
    conversation: Annotated[
        str,
        typer.Argument(metavar="CONVERSATION", help="The conversation's id.", autocompletion=conversation_ids),
    ],
    *,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            max=10_000,
            metavar="N",
            help=f"How many messages of the past to show first (by default {LINES}).",
        ),
    ] = None,
    since: Annotated[
        int | None, typer.Option(min=0, max=1 << 53, metavar="SEQ", help="Show every event after this number instead.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one event a line, as the frame that websockets get.")
    ] = False,
    data_dir: DataDir = None,
) -> ExitCode:
    """Follow a conversation: its last messages, then whatever happens, until Ctrl-C.

    Messages, edits and deletions are shown; receipts only with --json. Times are local. What is shown comes from the
    database, in the order of the conversation's events: when Redis or the database is away for a while, it goes on
    where it was. A conversation that does not exist yet is waited for.
    """
    from chatq.cli.tailing import Tailing  # noqa: PLC0415  # heavy
    from chatq.domain.ids import CLIENT_ID_IN_WORDS, is_client_id  # noqa: PLC0415  # heavy

    if not is_client_id(conversation):
        raise BadUsage(f"{conversation[:140]!r} is no conversation's id: {CLIENT_ID_IN_WORDS} are needed.")
    if lines is not None and since is not None:
        raise BadUsage("--since says where to begin: leave out --lines.")
    run = Tailing.open(conversation, data_dir=data_dir, json=json)
    try:
        run.follow(LINES if lines is None else lines, since)
    except KeyboardInterrupt:
        run.leave()
    return ExitCode.DONE
