"""Words as bash counts them: an id with a ``:`` in it is several, as far as completion is concerned.

Bash breaks the line where ``COMP_WORDBREAKS`` says, and puts what it is offered in place of the last piece alone.
Typer's script hands the pieces over, one a line, and takes what is offered for whole words.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

_BREAKS = re.compile(r"[:@=]+")
"""Pieces that bash makes of characters that an argument of ours may have in it."""


def join_pieces(words: list[str], at: int) -> tuple[list[str], str]:
    """Return the words up to the one that is being completed, number ``at``, and what of it is not to be offered again.

    An argument that begins or ends with a break is taken for a part of its neighbour: nothing tells them apart.
    """
    joined: list[str] = []
    goes_on = False
    for word in words[: at + 1]:
        breaks = _BREAKS.fullmatch(word) is not None
        if (breaks or goes_on) and len(joined) > 1:
            joined[-1] += word
        else:
            joined.append(word)
        goes_on = breaks
    last = words[at] if at < len(words) else ""
    kept = "" if _BREAKS.fullmatch(last) else last
    return joined, joined[-1].removesuffix(kept) if at < len(words) else ""


@contextmanager
def whole_words() -> Iterator[None]:
    """Let what is printed within be completions for bash of whole words, if bash has asked for any."""
    pieces = os.environ.get("COMP_WORDS", "").split("\n")
    at = os.environ.get("COMP_CWORD", "")
    if os.environ.get("_CHATQ_COMPLETE") != "complete_bash" or not at.isdecimal():
        yield
        return
    words, offered = join_pieces(pieces, int(at))
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1 if int(at) < len(pieces) else at))
    found = io.StringIO()
    try:
        with redirect_stdout(found):
            yield
    finally:
        for line in found.getvalue().splitlines():
            print(line.removeprefix(offered))
