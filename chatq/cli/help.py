"""Help that fits into a narrow terminal.

Typer breaks a docstring's lines where its source does, names the Python type of each flag and argument, and puts much
space between columns that are empty; of 40 columns little is left beside that, and options lose their ends.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Commands(typer.Typer):
    """Commands under one name, each with such help."""

    def command(self, *arguments: Any, **options: Any) -> Any:
        """Register a command, as Typer's own does."""
        return super().command(*arguments, cls=_Command, **options)


class Group(TyperGroup):
    """What shows the help of all commands under one name."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _set_close()
        super().format_help(ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options."""
        return _without_types(super().get_params(ctx))


class _Command(TyperCommand):
    def __init__(self, *arguments: Any, help: str | None = None, **options: Any) -> None:  # noqa: A002  # Typer's name
        super().__init__(*arguments, help=_in_paragraphs(help), **options)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _set_close()
        super().format_help(ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


def _in_paragraphs(text: str | None) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text or ""))


def _set_close() -> None:
    from typer import rich_utils  # noqa: PLC0415  # heavy

    rich_utils.STYLE_OPTIONS_TABLE_PADDING = (0, 1, 0, 0)  # type: ignore[assignment]  # Typer's own value fixes the type


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperArgument) or (isinstance(parameter, TyperOption) and parameter.is_flag):
            # Typer asks each parameter for it, and has no setting.
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005  # its name
    return parameters
