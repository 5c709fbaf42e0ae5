"""What ``chatq tail`` does, once the command line is understood."""

from __future__ import annotations

import select
import sys
from collections.abc import Collection, Sequence
from datetime import datetime

from redis import Redis

from chatq.cli.compose import Services, build, check
from chatq.cli.redis_services import redis_in_words
from chatq.cli.terminal import console, say, visible
from chatq.cli.transcript import Transcript
from chatq.domain.messages import Message
from chatq.errors import DatabaseError
from chatq.ops.tail import Follower, last_messages, seq_of
from chatq.queue.connection import connect, find_redis
from chatq.settings import load, without_password
from chatq.store.event_log import find_kept
from chatq.store.history import find_messages


class Tailing:
    """One run of ``chatq tail``."""

    def __init__(self, conversation_id: str, services: Services, *, json: bool) -> None:
        self._conversation_id = conversation_id
        self._services = services
        self._json = json
        self._errors = console(stderr=True)
        self._transcript = Transcript(console(), self._find, datetime.now().astimezone().date())

    @classmethod
    def open(cls, conversation_id: str, *, data_dir: str | None, json: bool) -> Tailing:
        """Return a run whose Redis and database answer, after saying on stderr which they are.

        Raises:
            RedisError: Redis cannot be used.
            DatabaseError: the database cannot be used, or is another installation's.
            BadSetting: a setting cannot be used.
        """
        services = build(load({"CHATQ_DATA_DIR": data_dir}))
        run = cls(conversation_id, services, json=json)
        run._say(f"Redis: {redis_in_words(services)}")
        run._say(f"Database: {without_password(services.settings.database_url)}")
        check(services)
        return run

    def follow(self, lines: int, since: int | None) -> None:
        """Print the past, then what happens, for ever.

        Raises:
            BrokenPipeError: nobody reads it any more.
        """
        position = self._begin(lines) if since is None else self._begin_after(since)
        follower = Follower(self._open_redis, self._services.engine, self._conversation_id, self._say)
        for payloads in follower.follow(position):
            if payloads:
                self._print(payloads, position)
                position = seq_of(payloads[-1])
            elif _reader_gone():
                raise BrokenPipeError

    def leave(self) -> None:
        """End in order, with what the terminal showed of Ctrl-C on a line of its own."""
        if self._errors.is_terminal:
            self._errors.print()

    def _begin(self, lines: int) -> int:
        """Print the last messages, and return the number after which their events go on."""
        start = last_messages(self._services.engine, self._conversation_id, lines)
        if start.position == 0:
            self._say_that_it_is_not_there()
        if not self._json:
            self._transcript.messages(start.messages)
            return start.position
        # Their events say all that became of them.
        return start.messages[0].seq - 1 if start.messages else start.position

    def _begin_after(self, since: int) -> int:
        newest = find_kept(self._services.engine, [self._conversation_id])[self._conversation_id].last_seq
        if newest == 0:
            self._say_that_it_is_not_there()
        elif since > newest:
            self._say(f"Warning: there is no event {since} yet; the newest is {newest}.")
        return since

    def _say_that_it_is_not_there(self) -> None:
        self._say(f"Warning: there is no conversation {self._conversation_id} yet; waiting for its first message.")

    def _print(self, payloads: Sequence[str], position: int) -> None:
        first = seq_of(payloads[0])
        if first > position + 1:
            self._say(f"Warning: events {position + 1} to {first - 1} are not kept any more.")
        if self._json:
            _print_frames(payloads)
        else:
            self._transcript.events(payloads)

    def _find(self, message_ids: Collection[str]) -> dict[str, Message]:
        try:
            return find_messages(self._services.engine, message_ids)
        except DatabaseError:
            # Their ids must do.
            return {}

    def _open_redis(self) -> Redis:
        # The embedded server may have another socket since it was started anew.
        return connect(find_redis(self._services.settings))

    def _say(self, text: str) -> None:
        say(self._errors, text)


def _print_frames(payloads: Sequence[str]) -> None:
    text = "".join([f"{payload}\n" for payload in payloads])
    if sys.stdout.isatty():
        # The same JSON, spelt so that no terminal acts upon it.
        text = visible(text, _as_json)
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _as_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join([f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)])


def _reader_gone() -> bool:
    """Tell whether stdout is a pipe that nobody reads any more, which without writing one does not notice."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(happened & select.POLLERR for _, happened in poll.poll(0))
