"""``chatq tail``: what is printed of a conversation, and that it goes on whatever happens in between."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.parts.command import Chatq, Running
from tests.parts.installation import Installation
from tests.parts.postgres import Postgres
from tests.parts.proxy import Proxy
from tests.parts.roles import fresh, installed
from tests.parts.terminal import CTRL_C, Terminal
from tests.parts.waiting import PATIENCE_SECONDS, until

TIME = r"\d\d:\d\d:\d\d"

Open = Callable[..., Terminal]


@pytest.fixture(scope="module")
def system(postgres: Postgres) -> Iterator[Installation]:
    """An installation with a worker that the tests share; each uses conversations of its own."""
    database = postgres.create_database()
    with installed(postgres.url(database)) as roles:
        roles.chatq.environment["TZ"] = "UTC"
        system = Installation(roles.chatq, roles.environment["REDIS_URL"], roles.environment["DATABASE_URL"])
        system.start_worker()
        yield system
        system.redis.close()
        system.engine.dispose()
    postgres.drop_database(database)


@pytest.fixture
def open_terminal(system: Installation, tmp_path: Path) -> Iterator[Open]:
    """A function that runs ``chatq`` on a terminal."""
    opened: list[Terminal] = []

    def open_one(*args: str, columns: int = 80, **environment: str) -> Terminal:
        everything = {**system.chatq.environment, **system.environment, **environment}
        opened.append(Terminal.of_chatq(*args, environment=everything, directory=tmp_path, columns=columns))
        return opened[-1]

    yield open_one
    for terminal in opened:
        terminal.close()


def say(system: Installation, conversation: str, *contents: str, sender: str = "alice") -> list[str]:
    """Send messages, wait until they are stored, and return their ids."""
    there = len(system.contents(conversation))
    ids = [system.send(content, conversation, senderId=sender) for content in contents]
    until(lambda: len(system.contents(conversation)) == there + len(ids), what="the messages stored")
    return ids


def change(system: Installation, conversation: str, name: str, **data: Any) -> None:
    """Do a job about a message, and wait until it has its event."""
    there = len(system.frames(conversation))
    system.put(name, **data)
    until(lambda: len(system.frames(conversation)) == there + 1, what=f"the event of {name}")


def printed(tail: Running) -> list[str]:
    """Return the lines on stdout, without their times."""
    return [re.sub(TIME, "T", line.rstrip("\n")) for line in tail.stdout]


# --- what is printed -----------------------------------------------------------------------------


def test_the_past_and_then_what_happens(system: Installation) -> None:
    conversation = fresh()
    # Given three messages, of which one was edited and one deleted
    first, second, _ = say(system, conversation, "helo", "rubbish", "one\ntwo")
    change(system, conversation, "editMessage", messageId=first, content="hello")
    change(system, conversation, "deleteMessage", messageId=second)
    # When somebody follows the conversation, then they are printed as they are now
    tail = system.start("tail", conversation)
    tail.wait_for(" two")
    # And what happens then, as it happens; a receipt is nothing to print
    (third,) = say(system, conversation, "hi", sender="bob")
    tail.wait_for("bob +hi")
    change(system, conversation, "updateMessageStatus", messageId=third, status="read", userId="alice")
    change(system, conversation, "editMessage", messageId=third, content="hi, alice")
    tail.wait_for(r"\* edited")
    change(system, conversation, "deleteMessage", messageId=third)
    tail.wait_for(r"\* deleted  bob")
    assert printed(tail) == [
        "T  alice  hello (edited)",
        "T  * deleted  alice",
        "T  alice  one",
        "                 two",
        "T  bob    hi",
        "T  * edited  bob T  hi, alice",
        "T  * deleted  bob T",
    ]
    assert [line.partition(":")[0] for line in tail.stderr] == ["Redis", "Database"]
    assert tail.terminate() == -15


@pytest.mark.parametrize(("options", "contents"), [(["-n", "2"], ["3", "4"]), (["--lines", "0"], []), ([], "01234")])
def test_so_many_lines_of_the_past(system: Installation, options: list[str], contents: list[str]) -> None:
    conversation = fresh()
    say(system, conversation, *"01234")
    tail = system.start("tail", conversation, *options)
    tail.wait_for("Database: ")
    until(lambda: listeners(system, conversation), what="the subscription")
    say(system, conversation, "live")
    tail.wait_for("  live")
    assert printed(tail) == [f"T  alice  {content}" for content in [*contents, "live"]]


def listeners(system: Installation, conversation: str) -> int:
    """Return how many listen to what is published of a conversation."""
    ((_, count),) = system.redis.pubsub_numsub(f"chatq:conversation:{conversation}")
    return int(count)


def test_json_is_the_frames_themselves(system: Installation) -> None:
    conversation = fresh()
    # Given messages, and an edit and a receipt of the last but one
    *_, one, _ = say(system, conversation, "0", "1", "2")
    change(system, conversation, "editMessage", messageId=one, content="one")
    change(system, conversation, "updateMessageStatus", messageId=one, status="read", userId="bob")
    # When the last two are asked for, then what is printed are the events from there on, and those that come
    tail = system.start("tail", conversation, "--json", "-n", "2")
    tail.wait_for("messageStatus")
    say(system, conversation, "3 \x9b \u202e é")
    tail.wait_for('"content":"3')
    rows = system.rows(
        "SELECT payload FROM events WHERE conversation_id = :id AND seq > 1 ORDER BY seq", id=conversation
    )
    assert tail.stdout == [f"{row.payload}\n" for row in rows]
    # And the number of the last one is where somebody else may go on
    seq = json.loads(tail.stdout[-2])["seq"]
    again = system.start("tail", conversation, "--json", "--since", str(seq))
    again.wait_for('"content":"3')
    assert again.stdout == tail.stdout[-1:]


def test_what_is_not_there(system: Installation) -> None:
    conversation = fresh()
    # Given nothing, then that is said, and the first message waited for
    tail = system.start("tail", conversation)
    tail.wait_for(f"Warning: there is no conversation {conversation} yet; waiting for its first message.")
    say(system, conversation, *"1234")
    tail.wait_for("alice  4")
    assert printed(tail) == [f"T  alice  {content}" for content in "1234"]
    # And given a number of the future, or events that were pruned, then that is said as well
    future = system.start("tail", conversation, "--since", "9")
    future.wait_for("Warning: there is no event 9 yet; the newest is 4.")
    system.execute(
        f"DELETE FROM events WHERE conversation_id = '{conversation}' AND seq < 3",
        f"UPDATE conversations SET first_seq = 3 WHERE id = '{conversation}'",
    )
    pruned = system.start("tail", conversation, "--since", "1")
    pruned.wait_for("Warning: events 2 to 2 are not kept any more.")
    pruned.wait_for("alice  4")
    assert printed(pruned) == ["T  alice  3", "T  alice  4"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a/b"], "'a/b' is no conversation's id: 1 to 128 characters of A-Z a-z 0-9 . _ : @ + ~ - are needed."),
        (["a", "--since", "1", "-n", "1"], "--since says where to begin: leave out --lines."),
        (
            ["a", "--since", "9" * 20],
            f"Invalid value for '--since': Input should be less than or equal to {1 << 53}. See `chatq tail --help`.",
        ),
    ],
)
def test_arguments_that_make_no_sense(chatq: Chatq, arguments: list[str], said: str) -> None:
    ended = chatq.run_forked("tail", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"chatq: {said}\n")


def test_it_begins_only_where_redis_and_the_database_answer(system: Installation, tmp_path: Path) -> None:
    nowhere = system("tail", "general", env={"REDIS_URL": f"unix://{tmp_path}/none.sock"})
    assert (nowhere.code, nowhere.stdout) == (3, "")
    empty = system("tail", "general", env={"DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3"})
    assert (empty.code, empty.stdout) == (4, "")
    assert empty.stderr.endswith("run `chatq db upgrade`.\n")
    assert not (tmp_path / "none.sqlite3").exists()


# --- terminals -----------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202edlrow \u2028 [bold]x[/bold] :smile: \r\n\ttab \u0008 \u200b \U000e0041"
SHOWN = (
    r"\x1b[2J\x1b]0;owned\x07 \x9b31m \u202edlrow \u2028 [bold]x[/bold] :smile: ",
    r"    tab \x08 \u200b \U000e0041",
)


def test_a_terminal_does_nothing_that_content_says(system: Installation, open_terminal: Open) -> None:
    conversation = fresh()
    # Given content that would do something to a terminal
    say(system, conversation, HOSTILE)
    # When it is printed to a pipe or a terminal, then it can be seen, and does nothing
    piped = system.start("tail", conversation)
    piped.wait_for("tab .x08")
    assert printed(piped) == [f"T  alice  {SHOWN[0].rstrip()}", f"                 {SHOWN[1]}"]
    terminal = open_terminal("tail", conversation, columns=120)
    terminal.wait_for("tab .x08")
    assert SHOWN[0].rstrip() in terminal.text
    assert SHOWN[1] in terminal.text
    # And as JSON it is the same document, spelt so that it does nothing either
    frames = open_terminal("tail", conversation, "--json", columns=4000)
    line = frames.wait_for(r"(?m)^\{.*\}$").group()
    assert json.loads(line) == system.frames(conversation)[0]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028\u200b]", line)


def test_on_a_narrow_terminal_lines_hang_and_ctrl_c_is_the_end(system: Installation, open_terminal: Open) -> None:
    conversation = fresh()
    say(system, conversation, "It is a long way to the end of this line.", "x" * 40)
    say(system, conversation, "A name that leaves no room.", sender="somebody.with.a.long.name")
    # When it is shown on forty columns, then what belongs together stands together, and names have colours
    terminal = open_terminal("tail", conversation, columns=40)
    terminal.wait_for(r"room\.")
    lines = [re.sub(TIME, "HH:MM:SS", line) for line in terminal.text.splitlines()]
    assert lines[-6:] == [
        "HH:MM:SS  alice  It is a long way to the",
        "                 end of this line.",
        "HH:MM:SS  alice  xxxxxxxxxxxxxxxxxxxxxxx",
        "                 xxxxxxxxxxxxxxxxx",
        "HH:MM:SS  somebody.with.a.long.name",
        "          A name that leaves no room.",
    ]
    assert re.search(r"\x1b\[1;38;5;\d+malice\x1b\[0m", terminal.raw)
    # And Ctrl-C ends it, as is usual
    terminal.type(CTRL_C)
    assert terminal.wait() == 0
    assert terminal.text.endswith("^C\n")
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour(system: Installation, open_terminal: Open, environment: dict[str, str]) -> None:
    conversation = fresh()
    say(system, conversation, "hello")
    terminal = open_terminal("tail", conversation, **environment)
    terminal.wait_for("alice  hello")
    assert "\x1b" not in terminal.raw


def test_a_reader_that_has_had_enough_ends_it(system: Installation) -> None:
    conversation = fresh()
    say(system, conversation, "hello")
    environment = {**system.chatq.environment, **system.environment}
    with subprocess.Popen(
        [sys.executable, "-m", "chatq", "tail", conversation, "-n", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr.read().count("\n") == 2


# --- outages -------------------------------------------------------------------------------------


def test_while_redis_is_away_it_goes_on(system: Installation, short_path: Path) -> None:
    conversation = fresh()
    server = Path(system.environment["REDIS_URL"].removeprefix("unix://"))
    path = short_path / "proxy.sock"
    # Given somebody who follows a conversation
    with closing(Proxy(path, server)) as proxy:
        tail = system.start("tail", conversation, env={"REDIS_URL": proxy.url})
        until(lambda: listeners(system, conversation), what="the subscription")
        say(system, conversation, "before")
        tail.wait_for("before")
    # When Redis is away from there, then this is said once, and what happens is printed all the same
    path.unlink()
    tail.wait_for("does not answer.*the database is asked now and then")
    say(system, conversation, "meanwhile", "and more")
    tail.wait_for("and more")
    # And when it is back, then it goes on as before
    with closing(Proxy(path, server)):
        tail.wait_for("Redis is back.")
        say(system, conversation, "after")
        tail.wait_for("after")
        assert printed(tail) == [f"T  alice  {content}" for content in ("before", "meanwhile", "and more", "after")]
        assert len(tail.stderr) == 5  # two of the beginning, the warning, the outage and its end
        assert tail.terminate() == -15


def test_while_the_database_is_away_it_waits(system: Installation, postgres: Postgres) -> None:
    conversation = fresh()
    name = system.environment["DATABASE_URL"].rpartition("/")[2]
    say(system, conversation, "before")
    tail = system.start("tail", conversation)
    tail.wait_for("before")
    # When the database is away for a while, then this is said, and nothing is lost or doubled
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        system.send("meanwhile", conversation)
        tail.wait_for("does not answer.*trying again")
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    # Other tests have use for no connection that is dead.
    system.engine.dispose()
    tail.wait_for("The database is back.")
    tail.wait_for("meanwhile")
    assert printed(tail) == ["T  alice  before", "T  alice  meanwhile"]
    assert tail.terminate() == -15
