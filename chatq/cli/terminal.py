"""Terminals: streams that can always be written to, and text that does nothing but be read."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import TYPE_CHECKING

from chatq.settings.colour import in_colour

if TYPE_CHECKING:
    from rich.console import Console

CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # those of terminals, but for tab and line feed
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # those that turn the direction of writing around
    r"\u2028\u2029"  # ends of lines that are not ours
    r"\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # what hides, or hides text
    r"\ud800-\udfff]"  # what no encoding knows
)
"""Characters that do something to a terminal, or to the reader, other than to be seen."""


def escaped(character: str) -> str:
    r"""Return such a character as it is shown: ``\x1b``, ``\u202e``."""
    return ascii(character)[1:-1]


def visible(text: str) -> str:
    """Return text from elsewhere with everything escaped that a terminal would act upon."""
    return CONTROL.sub(lambda found: escaped(found.group()), text)


def console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr: plain on anything but a terminal that shows colours."""
    from rich.console import Console  # noqa: PLC0415  # heavy

    stream = sys.stderr if stderr else sys.stdout
    colour = in_colour(stream)
    return Console(
        file=stream,
        highlight=False,
        emoji=False,
        # Whatever else the environment may say: bars and colours in a pipe would be read as text.
        force_terminal=stream.isatty(),
        no_color=not colour,
        color_system="auto" if colour else None,
    )


def say(errors: Console, text: str) -> None:
    """Tell people something, on the console for stderr: as it is, but for what a terminal would act upon."""
    errors.print(visible(text), markup=False, soft_wrap=True)


def mend_streams() -> None:
    """Give this process stdin, stdout and stderr if it was started without, and let each take every character.

    A file or a connection that is opened while one is missing would get its number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            opened = open(number, "w" if number else "r", encoding="utf-8")  # noqa: PTH123, SIM115  # has no path, no end
            setattr(sys, name, opened)
        elif number and isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
