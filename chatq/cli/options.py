"""What the commands' options have in common: flags that override a setting, and how help ends."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from chatq.settings.variables import BY_NAME, Variable


class Purpose(StrEnum):
    """What a command is for, as the groups of ``chatq --help`` are called."""

    RUN = "Run the system"
    TALK = "Send and follow"
    CARE = "Look after it"
    ACCESS = "Access"


def setting(name: str) -> Any:
    """Return the option that overrides the variable ``name``; its text goes to ``settings.load`` as it is."""
    variable = BY_NAME[name]
    if variable.flag is None:
        raise LookupError(f"no flag overrides {name}")
    return typer.Option(
        variable.flag,
        help=f"{variable.meaning[0].upper()}{variable.meaning[1:]} (variable {name}, by default {variable.default}).",
        show_default=False,
        metavar="VALUE",
    )


DataDir = Annotated[str | None, setting("CHATQ_DATA_DIR")]
Host = Annotated[str | None, setting("CHATQ_HOST")]
Port = Annotated[str | None, setting("CHATQ_PORT")]
ApiWorkers = Annotated[str | None, setting("CHATQ_API_WORKERS")]


def ending(*examples: str, variables: Sequence[str] = ()) -> str:
    """Return the end of a command's help: the variables that it reads, by name, and examples of it.

    An example is a command line, or a command line and, after two spaces and ``#``, what it does. It has 76 characters
    at most: one that a terminal of 80 columns breaks is another command when it is copied from there.
    """
    lines = _table([BY_NAME[name] for name in variables], min(_WIDEST, shutil.get_terminal_size().columns - 3))
    blocks = ["[bold]Environment[/] (a .env file beats it, a flag beats both):\n" + "\n".join(lines)] if lines else []
    blocks.append("[bold]Examples:[/]\n" + "\n".join("  " + example.replace("[", r"\[") for example in examples))
    # Behind an empty line, so that what Typer takes for the margin is that of the headings.
    return "\n" + "\n\n".join(blocks)


_WIDEST = 77
"""Columns: what a terminal of 80 shows without breaking lines once more."""
_NARROW = 57
"""Columns below which a variable's meaning stands below its name."""


def _table(variables: Sequence[Variable], columns: int) -> list[str]:
    width = max((len(variable.name) for variable in variables), default=0)
    lines = []
    for variable in variables:
        first, indent = f"  {variable.name:{width}}  ", " " * (width + 4)
        if columns < _NARROW:
            lines.append(first.rstrip())
            first = indent = " " * 6
        text = f"{variable.meaning} ({variable.default})"
        lines.append(textwrap.fill(text, max(20, columns), initial_indent=first, subsequent_indent=indent))
    return lines


REDIS = ("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD")
"""The variables of every command that uses Redis."""

TOKENS = ("CHATQ_JWT_SECRET", "CHATQ_JWT_JWKS_URL", "CHATQ_JWT_AUDIENCE")
"""The variables of every command that makes or checks tokens."""

LOG = ("CHATQ_LOG_FORMAT", "CHATQ_LOG_LEVEL")
"""The variables of every command that goes on running."""
