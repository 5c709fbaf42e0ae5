"""The ``chatq`` command: all commands under one name, and what a shell is told when one fails."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from chatq.cli import all as everything
from chatq.cli import api, bench, db, enqueue, redis_check, tail, token, versions, worker
from chatq.cli.completion_words import whole_words
from chatq.cli.garbage import collect_rarely
from chatq.cli.help import Commands, Group
from chatq.cli.options import ending
from chatq.cli.terminal import mend_streams, visible
from chatq.errors import ChatqError, ExitCode
from chatq.settings.colour import in_colour
from chatq.version import version

_COMMANDS = (everything, api, worker, enqueue, tail, redis_check, db, bench, token)
"""In the order in which help shows them."""


class _Ordered(Group):
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in their order; Typer's puts those that have commands of their own last."""
        order = [module.__name__.rpartition(".")[2].replace("_", "-") for module in _COMMANDS]
        return sorted(super().list_commands(ctx), key=order.index)


app = Commands(
    name="chatq",
    cls=_Ordered,
    help="A message queue for chat: ordered, exactly once, on Redis and SQL, with websockets at the end of it.",
    epilog=ending(
        "chatq all  # the whole system on this machine",
        "chatq enqueue sendMessage conversationId=general senderId=alice content=hi",
        "chatq tail general  # follow what is said there",
        "chatq redis-check  # is Redis fit for this job?",
        "chatq --install-completion  # lets Tab complete",
    ),
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"chatq {version()}")
        parts = versions.parts()
        width = max(map(len, parts))
        for name, found in parts.items():
            typer.echo(f"{name:{width}}  {found}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _chatq(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and those of its parts."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in _COMMANDS:
    command.register(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that ``arguments``, by default the process's own, ask for, and end the process."""
    collect_rarely()
    mend_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except ChatqError as error:
        code = _fail(error.detail, error.exit_code)
    except typer.TyperException as error:
        code = _fail(_usage(error), ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted", ExitCode.FAILED)
    except BrokenPipeError:
        code = _reader_gone()
    except OSError as error:
        code = _fail(str(error), ExitCode.FAILED)
    # The interpreter would go through all objects several times before it ends: a third of a second.
    gc.freeze()
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    with whole_words():
        result = app(args=arguments, prog_name="chatq", standalone_mode=False)
    if result == 128 + 2:  # Typer's word for Ctrl-C
        raise KeyboardInterrupt
    return int(result) if isinstance(result, int) else ExitCode.DONE


def _fail(message: str, code: int) -> int:
    name = typer.style("chatq:", fg="red", bold=True) if in_colour(sys.stderr) else "chatq:"
    # Nobody may be left who reads it.
    with suppress(OSError):
        print(f"{name} {visible(message)}", file=sys.stderr, flush=True)
    return code


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = "chatq" if context is None else context.command_path
    message = error.format_message().replace("Value error, ", "").rstrip(".")  # pydantic's words, for nobody here
    end = "" if message.endswith("?") else "."
    return f"{message}{end} See `{command} --help`."


def _reader_gone() -> int:
    """Leave quietly when whatever read our output, such as ``head``, has had enough."""
    # Python flushes stdout once more at its end, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
