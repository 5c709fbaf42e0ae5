"""``chatq db``: schema migrations."""

from __future__ import annotations

from typing import Annotated

import typer

from chatq.cli.help import Commands, Group
from chatq.cli.options import DataDir, Purpose, ending
from chatq.cli.terminal import console
from chatq.errors import DatabaseUnavailable, ExitCode
from chatq.settings import Settings, load, without_password

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_VARIABLES = ("DATABASE_URL", "CHATQ_DATA_DIR")


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    upgrade_examples = (
        "chatq db upgrade",
        "DATABASE_URL=postgresql://db/chatq chatq db upgrade  # before the roles",
    )
    current_examples = ("chatq db current", "chatq db current --json | jq -r .revision")
    summary = "Set the database up, and bring it up to date."
    db = Commands(cls=Group, help=summary, epilog=ending(*upgrade_examples))
    db.command("upgrade", epilog=ending(*upgrade_examples, variables=_VARIABLES))(upgrade)
    db.command("current", epilog=ending(*current_examples, variables=_VARIABLES))(current)
    app.add_typer(db, name="db", rich_help_panel=Purpose.CARE)


def upgrade(*, json: Json = False, data_dir: DataDir = None) -> None:
    """Set the database up, or bring its schema to this version of chatq.

    Any number of processes may do this at once. What is stored stays.
    """
    from chatq.cli.progress import spinner  # noqa: PLC0415  # heavy
    from chatq.domain.wire import encode  # noqa: PLC0415  # heavy
    from chatq.store import schema  # noqa: PLC0415  # heavy
    from chatq.store.engine import create_engine  # noqa: PLC0415  # heavy

    settings = load({"CHATQ_DATA_DIR": data_dir})
    _make_data_dir(settings)
    with spinner(console(stderr=True), "upgrading the database"):
        before, after = schema.upgrade(create_engine(settings.database_url))
    if json:
        typer.echo(encode({"from": before, "to": after}))
        return
    done = f"is up to date at {after}" if before == after else f"upgraded from {before or 'none'} to {after}"
    typer.echo(f"database {without_password(settings.database_url)} {done}", err=True)


def current(*, json: Json = False, data_dir: DataDir = None) -> None:
    """Print the database's schema revision and the one that this version of chatq works with.

    Exit status 0 if they are the same, else 4.
    """
    from chatq.domain.wire import encode  # noqa: PLC0415  # heavy
    from chatq.store import schema  # noqa: PLC0415  # heavy
    from chatq.store.engine import create_engine  # noqa: PLC0415  # heavy

    settings = load({"CHATQ_DATA_DIR": data_dir})
    found = schema.current(create_engine(settings.database_url))
    if json:
        document = {"revision": found.revision, "head": found.head, "upToDate": found.is_up_to_date}
        typer.echo(encode(document))
    else:
        typer.echo(f"revision {found.revision or 'none'}\nhead {found.head}")
    if not found.is_up_to_date:
        typer.echo(schema.out_of_date(found).detail, err=True)
        raise typer.Exit(ExitCode.DATABASE)


def _make_data_dir(settings: Settings) -> None:
    """Make the data directory, private, if the database is to lie in it."""
    if not settings.database_url.startswith(f"sqlite:///{settings.data_dir}/"):
        return
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"The data directory {settings.data_dir} cannot be made: {error.strerror}") from None
