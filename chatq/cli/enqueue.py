"""``chatq enqueue``: jobs by hand, from a script, or from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chatq.cli.completion import job_names
from chatq.cli.options import REDIS, DataDir, Purpose, ending
from chatq.errors import BadUsage, FieldProblem, InvalidFields, RequestRefused


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    examples = (
        "chatq enqueue sendMessage conversationId=team senderId=bob content='hi, all'",
        "chatq enqueue deleteMessage messageId=01a20baf-16b4-7d0f-ad8f-f976edb1b927",
        """chatq enqueue resizeImage --data '{"url": "a.png", "width": 200}' --wait""",
        "chatq enqueue sendMessage --file history.jsonl.gz  # twice changes nothing",
        "cat message.json | chatq enqueue sendMessage --data - --wait",
    )
    variables = (*REDIS, "CHATQ_DATA_DIR", "CHATQ_DURABILITY", "CHATQ_LANES", "CHATQ_MAX_CONTENT_BYTES")
    app.command(epilog=ending(*examples, variables=variables), rich_help_panel=Purpose.TALK)(enqueue)


def enqueue(  # noqa: PLR0917  # Typer reads the signature
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The job's name: one of chatq's own, or a handler's.", autocompletion=job_names
        ),
    ],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE", help="The job's data; values are text.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="JSON", help="The job's data as JSON; - reads it from stdin.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="F.jsonl[.gz]", help="A job for each line, which is a JSON object.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until done; exit 1 if a job failed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    data_dir: DataDir = None,
) -> int:
    """Put one job, or a file of jobs, into the queue.

    For sendMessage the fields of messageData may stand beside conversationId.
    """
    from chatq.cli.enqueueing import Enqueueing  # noqa: PLC0415  # heavy

    if file is not None and (fields or data is not None):
        raise BadUsage("--file brings its own data: leave out FIELD=VALUE and --data.")
    if file is not None and not file.is_file():
        raise BadUsage(f"--file {file}: {'it is no regular file' if file.exists() else 'there is no such file'}.")
    job = None if file is not None else _data(fields or [], data)
    run = Enqueueing.open(name, data_dir=data_dir, wait=wait, json=json)
    return run.file(file) if file is not None else run.one(job)


def _data(fields: list[str], data: str | None) -> Any:
    """Return what the command line says of one job's data; fields win over ``--data``."""
    from chatq.domain.wire import parse  # noqa: PLC0415  # heavy

    if data is None:
        said: Any = {}
    else:
        text: str | bytes = sys.stdin.buffer.read() if data == "-" else data
        try:
            said = parse(text)
        except RequestRefused as error:
            raise BadUsage(f"--data: {error.detail}") from None
    if fields and not isinstance(said, dict):
        raise BadUsage("--data is no JSON object, so FIELD=VALUE cannot add to it.")
    for given in fields:
        field, equals, value = given.partition("=")
        if not equals or not field:
            raise BadUsage(f"{given!r} is not FIELD=VALUE.")
        if not _is_text(field):
            raise InvalidFields([FieldProblem(ascii(field), "the name of the field is not valid UTF-8")])
        if not _is_text(value):
            raise InvalidFields([FieldProblem(field, "is not valid UTF-8")])
        said[field] = value
    return said


def _is_text(argument: str) -> bool:
    """Tell whether an argument was valid UTF-8: what was not, Python turns into halves of surrogate pairs."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
