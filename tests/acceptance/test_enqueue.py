"""``chatq enqueue``: whatever the command line or a file holds is put into the queue, or refused in words."""

from __future__ import annotations

import gzip
import json
import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chatq.queue import keys
from chatq.queue.connection import RECORD
from chatq.queue.feed import MAX_LINE_BYTES
from tests.parts.command import Chatq
from tests.parts.installation import Installation, Result
from tests.parts.proxy import Proxy
from tests.parts.terminal import Terminal
from tests.parts.valkey import Valkey
from tests.parts.waiting import until

UUID = "01a20baf-16b4-7d0f-ad8f-f976edb1b927"
FLAT = {"conversationId": "general", "senderId": "alice", "content": "hello"}
NO_WORKER = "Warning: no worker is alive here; the job waits until one is started (`chatq worker`)."
FEED_AGAIN = "was not fed to its end. Feed it again: what was accepted counts as duplicate then."


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The queue is filled without the database, so one kind of it will do."""
    return sqlite_url


def write_lines(path: Path, *lines: object) -> Path:
    """Write a line for each value: bytes as they are, anything else as JSON; gzipped if the name says so."""
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    data = b"".join(line + b"\n" for line in raw)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def numbered(first: int, last: int) -> list[dict[str, str]]:
    """Return messages with these numbers, as lines have them."""
    return [FLAT | {"content": f"message {number}"} for number in range(first, last + 1)]


def feed(installation: Installation, path: Path, **env: str) -> Result:
    return installation("enqueue", "sendMessage", "--file", path.name, "--json", env=env)


def tally(accepted: int, rejected: int, duplicates: int) -> dict[str, int]:
    return {"accepted": accepted, "rejected": rejected, "duplicates": duplicates}


def rejections(result: Result, path: Path) -> dict[int, str]:
    """Return what was said of each line that was rejected."""
    return {int(n): reason for n, reason in re.findall(rf"(?m)^{path.name}:(\d+): (.*)$", result.stderr)}


# --- one job -------------------------------------------------------------------------------------


def test_data_come_as_fields_as_json_or_from_stdin(installation: Installation) -> None:
    # Given messages in every form in which the command takes them
    flat = json.dumps(FLAT | {"metadata": {"mood": "\u263a"}})
    nested = json.dumps({"conversationId": "general", "messageData": {"senderId": "bob", "content": "nested"}})
    runs: list[tuple[tuple[str, ...], str | None]] = [
        (("conversationId=general", "senderId=alice", "content=a=b, c"), None),
        (("conversationId=general", "content=nobody said it"), None),
        (("--data", flat), None),
        (("--data", nested), None),
        (("--data", "-"), nested.replace("nested", "from stdin \u00fc")),
        (("content=the field wins", "senderId=carol", "--data", flat), None),
    ]
    # When each is enqueued, and a worker does what is there
    for arguments, stdin in runs:
        result = installation("enqueue", "sendMessage", *arguments, stdin=stdin)
        assert (result.code, result.stdout.split()[0]) == (0, "queued"), result
    installation.work_off()
    # Then all are stored as they were said
    rows = installation.rows("SELECT sender_id, content, metadata FROM messages ORDER BY seq")
    assert [(row.sender_id, row.content) for row in rows] == [
        ("alice", "a=b, c"),
        ("dev", "nobody said it"),
        ("alice", "hello"),
        ("bob", "nested"),
        ("bob", "from stdin \u00fc"),
        ("carol", "the field wins"),
    ]
    assert [json.loads(row.metadata or "null") for row in rows][2:4] == [{"mood": "\u263a"}, None]


def test_stdout_has_the_ids_and_stderr_what_people_should_know(installation: Installation) -> None:
    fields = ("conversationId=general", "content=hello", "clientMessageId=1")
    # When a message is enqueued, then its ids are printed, which Redis took it, and that nobody works there
    first = installation("enqueue", "sendMessage", *fields, "--json")
    assert (first.code, first.stdout.count("\n")) == (0, 1)
    assert set(first.json) == {"status", "jobId", "messageId"}
    assert first.json["status"] == "queued"
    assert first.stderr.splitlines() == [f"Redis: {installation.environment['REDIS_URL']}", NO_WORKER]
    # And the same again is known for a duplicate, and other content under its id refused
    assert installation("enqueue", "sendMessage", *fields, "--json").json == first.json | {"status": "duplicate"}
    other = installation("enqueue", "sendMessage", *fields, "content=good-bye", "--json")
    assert (other.code, other.stdout) == (1, "")
    assert other.stderr.endswith("chatq: This client id was used before for other content.\n")
    # And neither a job about a message nor a handler's job has a message of its own
    about = installation("enqueue", "deleteMessage", f"messageId={first.json['messageId']}", "--json")
    assert (about.code, set(about.json)) == (0, {"status", "jobId"})
    handlers = installation("enqueue", "resizeImage", "width=200", "--json")
    assert (handlers.code, set(handlers.json)) == (0, {"status", "jobId"})
    assert "Did you mean" not in handlers.stderr
    # And what may well be a slip of the pen is done, and told of
    slip = installation("enqueue", "sendmesage", "content=hello", "--json")
    assert (slip.code, set(slip.json)) == (0, {"status", "jobId"})
    assert "sendmesage is a job for a handler of yours. Did you mean sendMessage?" in slip.stderr


def test_it_waits_until_the_job_is_done_or_has_failed(installation: Installation) -> None:
    # Given a worker
    installation.start_worker()
    # When a message is enqueued, then the command returns when it is stored, and has nothing to warn of
    done = installation("enqueue", "sendMessage", "conversationId=general", "content=hello", "--wait", "--json")
    assert installation.contents() == ["hello"]
    assert (done.code, done.json["status"]) == (0, "done")
    assert done.stderr.splitlines() == [f"Redis: {installation.environment['REDIS_URL']}"]
    # And when a job fails, then it says so, and why
    failed = installation("enqueue", "deleteMessage", f"messageId={UUID}", "--wait", "--json")
    reason = f"There is no message {UUID}."
    assert failed.code == 1
    assert failed.json == {"status": "failed", "jobId": failed.json["jobId"], "error": reason}
    assert failed.stderr.endswith(f"job {failed.json['jobId']} failed: {reason}\n")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("sendMessage", {}, "conversationId: is missing; content: is missing"),
        (
            "sendMessage",
            FLAT | {"nonsense": 1, "content": " \t\n"},
            "content: is blank; nonsense: is not a known field",
        ),
        ("sendMessage", FLAT | {"content": "a\0b"}, "content: contains a NUL character"),
        ("sendMessage", FLAT | {"content": "x" * 16385}, "content has 16385 bytes; at most 16384 are allowed."),
        ("sendMessage", FLAT | {"conversationId": "a/b"}, "conversationId: must be 1 to 128 characters of "),
        ("sendMessage", FLAT | {"createdAt": "yesterday"}, "createdAt: must be an RFC 3339 time with an offset"),
        ("sendMessage", {"conversationId": "c", "messageData": 5}, "messageData: "),
        ("sendMessage", [FLAT], "expected `object`, got `array`"),
        ("editMessage", {"messageId": "5", "content": ""}, "messageId: must be a UUID in lower case with hyphens; "),
        ("updateMessageStatus", {"messageId": UUID, "status": "seen"}, "status: must be delivered or read"),
    ],
)
def test_data_that_no_job_can_have_are_refused_in_words(
    chatq: Chatq, valkey: Valkey, name: str, data: Any, said: str
) -> None:
    ended = chatq.run_forked(
        "enqueue", name, "--data", "-", "--json", stdin=json.dumps(data), env={"REDIS_URL": valkey.url}
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith(f"chatq: {said}")
    assert valkey.client().keys("rq:*") == []


UNREADABLE = os.fsdecode(b"x\xff")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing argument 'NAME'. See `chatq enqueue --help`."),
        (["a b"], 2, "name: 'a b' is no job name: a letter, then letters, digits and underscores"),
        ([UNREADABLE], 2, r"name: 'x\udcff' is no job name: a letter, then letters, digits and underscores"),
        (["a", "content"], 2, "'content' is not FIELD=VALUE."),
        (["a", "=content"], 2, "'=content' is not FIELD=VALUE."),
        (["a", f"content={UNREADABLE}"], 1, "content: is not valid UTF-8"),
        (["a", f"{UNREADABLE}=1"], 1, r"'x\udcff': the name of the field is not valid UTF-8"),
        (["a", "b=1", "--data", "[1]"], 2, "--data is no JSON object, so FIELD=VALUE cannot add to it."),
        (["a", "--data", f'"{UNREADABLE}"'], 2, "--data: The document is not valid UTF-8."),
        (["a", "--data", "-"], 2, "--data: The document is not well-formed JSON: Input data was truncated."),
        (["a", "--data", "[" * 5000], 2, "--data: The document is nested too deeply."),
        (["a", "--file", "f", "b=1"], 2, "--file brings its own data: leave out FIELD=VALUE and --data."),
        (["a", "--file", "f", "--data", "1"], 2, "--file brings its own data: leave out FIELD=VALUE and --data."),
        (["a", "--file", "nowhere"], 2, "--file nowhere: there is no such file."),
        (["a", "--file", "."], 2, "--file .: it is no regular file."),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_connects(
    chatq: Chatq, arguments: list[str], code: int, said: str
) -> None:
    ended = chatq.run_forked("enqueue", *arguments, env={"REDIS_URL": "redis://localhost:1"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", f"chatq: {said}\n")


def test_another_number_of_lanes_or_an_unreachable_redis_is_an_error(chatq: Chatq, valkey: Valkey) -> None:
    message = ("enqueue", "sendMessage", "conversationId=general", "content=hello")
    # Given a Redis that is used with eight lanes
    assert chatq(*message, env={"REDIS_URL": valkey.url}).returncode == 0
    # When somebody comes with four, then nothing is queued, and it is said what to do
    other = chatq(*message, env={"REDIS_URL": valkey.url, "CHATQ_LANES": "4"})
    assert (other.returncode, other.stdout) == (2, "")
    assert "\nchatq: CHATQ_LANES is 4, but this installation runs with 8 lanes. Set CHATQ_LANES=8;" in other.stderr
    # And what is no number at all is shown, with what to do about it
    with closing(valkey.client()) as client:
        client.set(keys.LANES, "many")
    other = chatq(*message, env={"REDIS_URL": valkey.url})
    assert (other.returncode, other.stdout) == (2, "")
    assert f"\nchatq: The key {keys.LANES!r} in Redis holds 'many', which is no number of lanes" in other.stderr
    # And when nobody answers, then it is said where, without the password
    ended = chatq(*message, env={"REDIS_URL": "redis://:secret@localhost:1/0"})
    assert (ended.returncode, ended.stdout) == (3, "")
    redis, fault = ended.stderr.splitlines()
    assert redis == "Redis: redis://:***@localhost:1/0"
    assert fault.startswith("chatq: Redis at redis://:***@localhost:1/0 does not answer: ")
    assert fault.endswith(" `chatq redis-check` says what may be the cause.")


def test_where_the_embedded_server_has_ended_it_is_said_how_to_start_it(chatq: Chatq) -> None:
    # Given a data directory whose server does not run any more
    data = Path(chatq.environment["CHATQ_DATA_DIR"])
    data.mkdir()
    (data / RECORD).write_text("unix:///nowhere/valkey.sock")
    # When somebody enqueues a job there, then it is said what starts it
    ended = chatq("enqueue", "sendMessage", "conversationId=general", "content=hello")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.endswith(f"It is the one of {data}, which `chatq all` starts and ends.\n")


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["messages.jsonl", "messages.jsonl.gz"])
def test_bad_lines_are_reported_and_the_others_go_on(installation: Installation, tmp_path: Path, name: str) -> None:
    # Given a file with lines of every kind
    path = write_lines(
        tmp_path / name,
        FLAT | {"content": "first"},
        FLAT | {"content": "x" * MAX_LINE_BYTES},
        b"",
        b" \t\r",
        [1],
        "text",
        None,
        b'{"conversationId": "general", "content": "\xff"}',
        b"{",
        b"[" * 5000,
        FLAT | {"content": " "},
        FLAT | {"nonsense": True},
        FLAT | {"content": "a\0b"},
        b'{"conversationId": "general", "content": "\\ud800"}',
        FLAT | {"content": "y" * 16385},
        FLAT | {"content": "same", "clientMessageId": "1"},
        FLAT | {"content": "same", "clientMessageId": "1"},
        FLAT | {"content": "other", "clientMessageId": "1"},
        {"conversationId": "general", "messageData": {"content": "last"}},
    )
    # When it is fed
    result = feed(installation, path)
    # Then each bad line is reported by its number and the reason, and the count says so
    no_object, no_json = "the line is not a JSON object", "The document is not well-formed JSON"
    assert (result.code, result.json) == (1, tally(3, 13, 1))
    told = rejections(result, path)
    expected = {
        2: f"the line has more than {MAX_LINE_BYTES} bytes; no more are allowed",
        5: no_object,
        6: no_object,
        7: no_object,
        8: "The document is not valid UTF-8.",
        9: f"{no_json}: Input data was truncated.",
        10: "The document is nested too deeply.",
        11: "content: is blank",
        12: "nonsense: is not a known field",
        13: "content: contains a NUL character",
        14: f"{no_json}, or a string in it holds half a surrogate pair.",
        15: "content has 16385 bytes; at most 16384 are allowed.",
        18: "This client id was used before for other content.",
    }
    assert told == expected
    # And when it is fed once more after a worker has done all of it, then nothing is new
    installation.work_off()
    again = installation("enqueue", "sendMessage", "--file", path.name)
    assert (again.code, again.stdout) == (1, "0 accepted, 13 rejected, 4 duplicates\n")
    installation.work_off()
    assert installation.contents() == ["first", "same", "last"]


def test_the_same_words_in_two_lines_are_two_messages(installation: Installation, tmp_path: Path) -> None:
    # Given a file, whose name is no text, in which somebody says the same twice, and a copy of it under another name
    lines = [FLAT, FLAT, FLAT | {"content": ""}]
    first = write_lines(tmp_path / os.fsdecode(b"\xff.jsonl"), *lines)
    second = write_lines(tmp_path / "b.jsonl", *lines)
    # When both are fed, then each line is a message of its own
    result = feed(installation, first)
    assert (result.code, result.json) == (1, tally(2, 1, 0))
    assert r"\udcff.jsonl:3: content: is blank" in result.stderr
    assert feed(installation, second).json == tally(2, 1, 0)
    installation.work_off()
    assert installation.contents() == ["hello"] * 4


def test_a_file_that_breaks_off_counts_up_to_there(installation: Installation, tmp_path: Path) -> None:
    # Given a gzipped file of which the end is missing
    whole = write_lines(tmp_path / "whole.jsonl.gz", *numbered(1, 3000)).read_bytes()
    path = tmp_path / "messages.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    # When it is fed, then the command says where it breaks off
    broken = feed(installation, path)
    accepted = broken.json["accepted"]
    assert (broken.code, broken.json) == (1, tally(accepted, 0, 0))
    assert 0 < accepted < 3000
    assert f"messages.jsonl.gz breaks off after line {accepted}: " in broken.stderr
    # And when the rest has come, then only the rest is new
    path.write_bytes(whole)
    mended = feed(installation, path)
    assert (mended.code, mended.json) == (0, tally(3000 - accepted, 0, accepted))


def test_an_empty_file_is_no_error(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    result = feed(installation, path)
    assert (result.code, result.json) == (0, tally(0, 0, 0))


def test_it_waits_for_all_lines_of_a_file(installation: Installation, tmp_path: Path) -> None:
    # Given a worker, and a file of deletions of which one names no message
    installation.start_worker()
    message_ids = installation.send_all(["one", "two"])
    path = write_lines(tmp_path / "deletions.jsonl", *({"messageId": id_} for id_ in [*message_ids, UUID]))
    # When the command waits for them, then that one has failed, and the others are done
    result = installation("enqueue", "deleteMessage", "--file", str(path), "--wait", "--json")
    assert (result.code, result.json) == (1, tally(3, 0, 0) | {"failed": 1})
    assert f"failed: There is no message {UUID}.\n" in result.stderr
    assert installation.contents() == [None, None]
    # And a second time nothing is deleted that was not
    again = installation("enqueue", "deleteMessage", "--file", str(path))
    assert again.stdout == "1 accepted, 0 rejected, 2 duplicates\n"


def test_a_handlers_jobs_come_from_a_file_as_well(installation: Installation, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "jobs.jsonl.gz", {"width": 1}, b"{", {"width": 2})
    result = installation("enqueue", "resizeImage", "--file", path.name)
    assert (result.code, result.stdout) == (1, "2 accepted, 1 rejected, 0 duplicates\n")
    assert list(rejections(result, path)) == [2]
    assert [job.kwargs for job in installation.queue("default").jobs] == [{"width": 1}, {"width": 2}]


def test_on_a_terminal_a_bar_moves_and_tears_no_line(installation: Installation, tmp_path: Path) -> None:
    # Given a long file with a bad line in its midst, whose name is not to do anything to the terminal
    path = write_lines(tmp_path / "a\x1b[2Jb.jsonl", *numbered(1, 2000), {"nonsense": 1}, *numbered(2001, 4000))
    environment = {**installation.chatq.environment, **installation.environment}
    command = ("enqueue", "sendMessage", "--file", path.name)
    # When it is fed on a terminal
    with closing(Terminal.of_chatq(*command, environment=environment, directory=tmp_path, columns=160)) as terminal:
        assert terminal.wait() == 1
    # Then how much, how fast and how long still were seen, and what was said meanwhile stands on lines of its own
    assert re.search(r"a\\x1b\[2Jb.jsonl .* +\d+% [1-4],00[01] lines [\d,]+/s \d\d:\d\d", terminal.text)
    lines = [line.rpartition("\r")[2] for line in terminal.text.split("\n")]
    assert any(line.startswith(r"a\x1b[2Jb.jsonl:2001: conversationId: is missing") for line in lines)
    assert lines[-2:] == ["4000 accepted, 1 rejected, 0 duplicates", ""]
    assert "\x1b[2J" not in terminal.raw


# --- a Redis that goes away ----------------------------------------------------------------------


def test_a_redis_that_dies_half_way_is_reported_and_the_rest_can_be_fed(
    installation: Installation, valkey: Valkey, tmp_path: Path
) -> None:
    # Given a file of which the queue takes only a part, so that the command waits in the middle
    path = write_lines(tmp_path / "messages.jsonl", *numbered(1, 4000))
    feeding = installation.start("enqueue", "sendMessage", "--file", path.name, env={"CHATQ_MAX_QUEUE_DEPTH": "2000"})
    until(lambda: installation.waiting() == 2000, what="a full queue")
    # When Redis dies, then the command ends, and says what to do
    valkey.kill()
    assert feeding.wait() == 3
    assert feeding.stdout == []
    *_, advice, fault = feeding.stderr
    assert advice == f"{path.name} {FEED_AGAIN}\n"
    assert fault.startswith("chatq: Redis does not answer: ")
    # And when the file is fed again, then the rest is added
    valkey.start()
    again = feed(installation, path)
    assert (again.code, again.json) == (0, tally(2000, 0, 2000))
    installation.work_off()
    assert installation.contents() == [line["content"] for line in numbered(1, 4000)]


def test_an_answer_that_is_lost_doubles_nothing(
    installation: Installation, valkey: Valkey, proxy: Proxy, tmp_path: Path
) -> None:
    # Given a command in the middle of a file, that waits for room
    path = write_lines(tmp_path / "messages.jsonl", *numbered(1, 4000))
    feeding = installation.start(
        "enqueue",
        "sendMessage",
        "--file",
        path.name,
        env={"CHATQ_MAX_QUEUE_DEPTH": "2000", "REDIS_URL": proxy.url},
    )
    until(lambda: installation.waiting() == 2000, what="a full queue")
    # When there is room, but the answer to what comes then is lost, and no new connection can be made
    (valkey.directory / "proxy.sock").unlink()
    proxy.lose_answer_to(b"message 2")
    installation.work_off()
    # Then the command ends, and cannot know what was accepted
    assert feeding.wait() == 3
    assert feeding.stderr[-2] == f"{path.name} {FEED_AGAIN}\n"
    assert proxy.lost == 1
    # And when the file is fed again, then everything is there once, in order
    again = feed(installation, path)
    assert again.code == 0
    assert again.json["duplicates"] > 2000
    assert again.json["accepted"] + again.json["duplicates"] == 4000
    installation.work_off()
    assert installation.contents() == [line["content"] for line in numbered(1, 4000)]
