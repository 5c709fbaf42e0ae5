"""A Markdown page as its tests see it: fenced blocks with the comments in front of them, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"<!-- ([a-z-]+)(?:: (.+))? -->")
_OVERLOOKED = re.compile(r"\s+```|\s*~~~|\s+<!--")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: str
    line: int
    """Of its fence."""
    kind: str
    """What stands behind the fence: ``sh``, ``python``, …; empty for figures."""
    text: str
    before: str
    """The paragraph in front of it."""
    marks: dict[str, str] = field(default_factory=dict)
    """The comments in front of it: what is to be done, and with what."""

    def __str__(self) -> str:
        return f"{self.page}, line {self.line}: {self.text.splitlines()[0] if self.text else ''}"


def blocks(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in their order; nothing that looks like one, or like a mark, is overlooked."""
    lines = path.read_text().splitlines()
    at = 0
    while at < len(lines):
        assert not _OVERLOOKED.match(lines[at]), f"{path.name}, line {at + 1}: fences begin their lines"
        if _COMMENT.fullmatch(lines[at]):
            following = lines[at + 1]
            assert following.startswith(("```", "<!--")), f"{path.name}, line {at + 1}: this mark has no block"
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            marks, above = _marks(lines, at)
            text = "".join(f"{line}\n" for line in lines[at + 1 : end])
            yield Block(path.name, at + 1, lines[at].removeprefix("```"), text, _paragraph(lines, above), marks)
            at = end
        at += 1


def prose(path: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(path: Path) -> list[str]:
    """Return where a page points to, pictures included."""
    return [link or attribute for link, attribute in _LINK.findall(re.sub(r"`[^`]*`", "", prose(path)))]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _marks(lines: list[str], at: int) -> tuple[dict[str, str], int]:
    """Return the comments right above a line, and the line above them."""
    marks = {}
    while at > 0 and (found := _COMMENT.fullmatch(lines[at - 1])):
        marks[found[1]] = found[2] or ""
        at -= 1
    return marks, at - 1


def _paragraph(lines: list[str], end: int) -> str:
    while end > 0 and not lines[end].strip():
        end -= 1
    begin = end
    while begin > 0 and lines[begin - 1].strip():
        begin -= 1
    return " ".join(lines[begin : end + 1])
