"""A conversation as people read it: a line for each message, in the colour of whoever said it.

::

    12:01:05  alice  hello, world
    12:01:09  bob    two lines,
                     of which this is the second
    12:02:00  * edited  alice 12:01:05  good-bye, world
    12:02:30  * deleted  bob 12:01:09

What people wrote is always behind a name or indented, and no name has a ``*`` in it: nobody can write what looks like
somebody else's line, or like one of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime

from rich.console import Console
from rich.text import Text

from chatq.cli.terminal import escaped, find_acting
from chatq.domain.clock import moment
from chatq.domain.events import MessageDeleted, MessageEdited, NewMessage, from_payload
from chatq.domain.messages import Message

PALETTE = (166, 130, 100, 64, 28, 29, 30, 31, 32, 26, 63, 99, 97, 134, 128, 164, 133, 162, 161, 167)
"""Colours of names, by their numbers among the 256 of terminals: each can be read on black and on white."""

_COLUMN = 12
"""Cells up to which names make a column of what was said; a longer one juts out."""
_ROOM = 20
"""Cells that content needs beside a name; where there are fewer, it begins below."""
_INDENT = len("12:01:05  ")


class Transcript:
    """Prints what happens in one conversation."""

    def __init__(self, console: Console, find: Callable[[Collection[str]], dict[str, Message]], today: date) -> None:
        """Take where it is printed, what returns those of some messages that are stored, and the date of today."""
        self._console = console
        self._find = find
        self._day = today
        self._column = 0

    def messages(self, messages: Iterable[Message]) -> None:
        """Print messages as they are now."""
        for message in messages:
            self._message(message)

    def events(self, payloads: Sequence[str]) -> None:
        """Print events, given as their frames; receipts are left out."""
        events = [from_payload(payload) for payload in payloads]
        deleted = {event.message_id for event in events if isinstance(event, MessageDeleted)}
        found = self._find(deleted) if deleted else {}
        for event in events:
            if isinstance(event, NewMessage):
                self._message(event.message)
            elif isinstance(event, MessageEdited):
                self._edit(event.message)
            elif isinstance(event, MessageDeleted):
                self._deletion(event.message_id, found.get(event.message_id))

    def _message(self, message: Message) -> None:
        name = message.sender_id
        when = _local(message.created_at)
        if message.content is None:
            self._line(when, Text.assemble(("* deleted  ", "dim"), _name(name)), Text())
            return
        if len(name) <= _COLUMN:
            self._column = max(self._column, len(name))
        content = _content(message.content)
        if message.edited_at is not None:
            content.append(" (edited)", "dim")
        self._line(when, Text.assemble(_name(name), " " * (self._column - len(name))), content)

    def _edit(self, message: Message) -> None:
        when = _local(message.edited_at or message.created_at)
        content = Text() if message.content is None else _content(message.content)
        self._line(when, Text.assemble(("* edited  ", "dim"), self._named(message, when)), content)

    def _deletion(self, message_id: str, message: Message | None) -> None:
        if message is None:
            self._line(None, Text.assemble(("* deleted  ", "dim"), message_id), Text())
            return
        when = _local(message.deleted_at or message.created_at)
        self._line(when, Text.assemble(("* deleted  ", "dim"), self._named(message, when)), Text())

    def _named(self, message: Message, now: datetime) -> Text:
        """Return whose message it is, and of when."""
        said = _local(message.created_at)
        time = f"{said:%H:%M:%S}" if said.date() == now.date() else f"{said:%Y-%m-%d %H:%M:%S}"
        return Text.assemble(_name(message.sender_id), " ", (time, "dim"))

    def _line(self, when: datetime | None, head: Text, content: Text) -> None:
        if when is not None:
            self._begin_day(when.date())
        time = " " * (_INDENT - 2) if when is None else f"{when:%H:%M:%S}"
        head = Text.assemble((time, "dim"), "  ", head)
        if not content:
            self._print(head)
            return
        if not self._console.is_terminal:
            self._print(*_beside(head, content.split("\n", allow_blank=True)))
            return
        width = self._console.width
        if width - head.cell_len - 2 < _ROOM:
            head.rstrip()
        room = width - head.cell_len - 2
        if room >= _ROOM:
            self._print(*_beside(head, content.wrap(self._console, room, overflow="fold")))
            return
        indent = " " * min(_INDENT, width // 4)
        lines = content.wrap(self._console, max(2, width - len(indent)), overflow="fold")
        self._print(
            *head.wrap(self._console, width, overflow="fold"), *(Text(indent).append_text(line) for line in lines)
        )

    def _begin_day(self, day: date) -> None:
        if day == self._day:
            return
        self._day = day
        name = f"{day:%A} {day}"
        if self._console.is_terminal:
            self._console.rule(Text(name, "dim"), style="dim")
        else:
            self._print(Text(f"--- {name} ---"))

    def _print(self, *lines: Text) -> None:
        for line in lines:
            line.rstrip()
        self._console.print(Text("\n").join(lines), soft_wrap=True)


def _local(time: str) -> datetime:
    found = moment(time)
    try:
        return found.astimezone()
    except (OverflowError, ValueError):
        # At an end of the calendar, where it is another year here that has no number.
        return found


def _name(name: str) -> Text:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return Text(name, f"bold color({PALETTE[number % len(PALETTE)]})")


def _content(content: str) -> Text:
    """Return what somebody wrote with everything made visible that a terminal would act upon, or that hides."""
    text = Text()
    end = 0
    content = content.replace("\r\n", "\n").expandtabs(4)
    for found in find_acting(content):
        text.append(content[end : found.start()]).append(escaped(found.group()), "reverse")
        end = found.end()
    return text.append(content[end:])


def _beside(head: Text, lines: Iterable[Text]) -> list[Text]:
    """Return lines beside a head, the further ones indented by its width."""
    first, *others = lines
    indent = Text(" " * (head.cell_len + 2))
    return [Text.assemble(head, "  ", first), *(Text.assemble(indent, line) for line in others)]
