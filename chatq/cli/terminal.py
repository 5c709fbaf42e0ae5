"""Terminals: streams that can always be written to, and text that does nothing but be read."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from chatq.settings.colour import in_colour

if TYPE_CHECKING:
    from rich.console import Console


def _tagged(region: str) -> str:
    """Return a region as it stands, unseen, behind the flag that emoji have for it."""
    return "".join([chr(0xE0000 + ord(letter)) for letter in region]) + "\U000e007f"


_EMOJI = r"\U0001f000-\U0001faff\u2190-\u2bff\u3030\u303d\u3297\u3299\u00a9\u00ae\u203c\u2049\u2122\u2139"
_IDEOGRAPHS = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_JOINED = r"\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1700-\u18af\u1980-\u1cff\ua800-\uabff\U00010a00-\U00011fff"
"""Scripts whose letters are joined, or kept apart, by what cannot be seen: Arabic's, those of India, Mongolian."""

_AT_HOME = "|".join(
    (
        rf"(?<=[{_EMOJI}0-9#*])[\ufe0e\ufe0f]",  # as text, or in colour
        rf"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])",  # one picture of several
        f"\U0001f3f4(?:{'|'.join(map(_tagged, ('gbeng', 'gbsct', 'gbwls')))})",  # flags of England, Scotland, Wales
        rf"(?<=[{_JOINED}])[\u200c\u200d]",
        r"(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]",  # forms of Mongolian letters
        rf"(?<=[{_IDEOGRAPHS}])[\ufe00-\ufe0f\U000e0100-\U000e01ef]",  # and of ideographs
    )
)
"""What cannot be seen, where it belongs: it is part of how its neighbours are written."""

_ACTING = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # those of terminals, but for tab and line feed
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # those that turn the direction of writing around
    r"\u2028\u2029"  # ends of lines that are not ours
    # What hides, or hides text: all that Unicode calls default ignorable, and annotations.
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\ud800-\udfff]"  # what no encoding knows
)
"""Characters that do something to a terminal, or to the reader, other than to be seen."""

_EITHER = re.compile(f"{_AT_HOME}|({_ACTING})")


def escaped(character: str) -> str:
    r"""Return such a character as it is shown: ``\x1b``, ``\u202e``."""
    return ascii(character)[1:-1]


def find_acting(text: str) -> Iterator[re.Match[str]]:
    """Find each character that a terminal would act upon, or that hides; not those that emoji and scripts need."""
    return (found for found in _EITHER.finditer(text) if found[1])


def visible(text: str, escape: Callable[[str], str] = escaped) -> str:
    """Return text from elsewhere with everything escaped that a terminal would act upon, or that hides."""
    return _EITHER.sub(lambda found: escape(found[1]) if found[1] else found[0], text)


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
