"""What a request says: its body, its parameters, and the ids that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gunicorn.http.errors import ParseException
from werkzeug.datastructures import MultiDict

from chatq.domain.ids import CLIENT_ID_IN_WORDS, MAX_JOB_ID, is_client_id, is_uuid
from chatq.errors import (
    FieldProblem,
    InvalidFields,
    MalformedJson,
    RequestRefused,
    RequestTimeout,
    TooLarge,
    UnsupportedMediaType,
)

Environ = dict[str, Any]

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""Those that change nothing."""
USER_HEADER = "X-Chatq-User"
KEY_HEADER = "Idempotency-Key"
BODY_SECONDS = 20.0
"""How long a request's body may make no progress."""

JOB_ID_PATTERN = rf"^[A-Za-z0-9_-]{{1,{MAX_JOB_ID}}}\Z"
"""Of ids that RQ's clients choose for jobs."""

_CLIENT_ID = f"must be {CLIENT_ID_IN_WORDS}"
_JOB_ID = re.compile(JOB_ID_PATTERN)
_NUMBER = re.compile(r"[0-9]{1,18}\Z")


def read_body(environ: Environ, limit: int, *, default: bytes = b"") -> bytes:
    """Return the body of a request that carries JSON, ``limit`` bytes at most; ``default`` if it carries none.

    Raises:
        UnsupportedMediaType: it says that it carries something else.
        TooLarge: it is larger; what its header says to be larger is not read.
        MalformedJson: there is no body, and no default, or it ends early.
        RequestTimeout: it does not arrive.
        RequestRefused: its chunks are none.
    """
    kind = environ.get("CONTENT_TYPE")
    if kind and kind != "application/json":
        _check_media_type(kind)
    length = environ.get("CONTENT_LENGTH")
    if length:
        size = int(length)
        if size > limit:
            raise TooLarge(f"The request has {size} bytes; at most {limit} are allowed.")
        body = _read(environ, size)
        if len(body) < size:
            raise MalformedJson("The body ends before its Content-Length.")
    else:
        # Without either header a request has no body, and waiting for one would take for ever.
        body = _read(environ, limit + 1) if "HTTP_TRANSFER_ENCODING" in environ else b""
        if len(body) > limit:
            raise TooLarge(f"The request is larger than {limit} bytes.")
    if not body and not default:
        raise MalformedJson("The request has no body.")
    return body or default


def _read(environ: Environ, size: int) -> bytes:
    socket = environ.get("gunicorn.socket")
    if socket is not None:
        socket.settimeout(BODY_SECONDS)
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except TimeoutError:
        raise RequestTimeout(f"Nothing of the body came for {BODY_SECONDS:.0f} seconds.") from None
    except (OSError, ParseException) as error:
        raise RequestRefused(f"The body cannot be read: {error}.") from None
    finally:
        if socket is not None:
            socket.settimeout(None)
    return body


def _check_media_type(kind: str) -> None:
    name = kind.partition(";")[0].strip().lower()
    if name != "application/json" and not (name.startswith("application/") and name.endswith("+json")):
        raise UnsupportedMediaType(f"The body is {name[:100]!r}; application/json is understood here.")


def idempotency_key(environ: Environ) -> str | None:
    """Return the id under which the client repeats this request, or None.

    It may stand in quotation marks, as draft-ietf-httpapi-idempotency-key-header has it.

    Raises:
        InvalidFields: it is no id.
    """
    key: str | None = environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not is_client_id(key):
        raise InvalidFields([FieldProblem(KEY_HEADER, _CLIENT_ID)])
    return key


def check_message_id(message_id: str) -> str:
    """Return the id from a request's path.

    Raises:
        InvalidFields: it is no UUID in canonical spelling.
    """
    if not is_uuid(message_id):
        raise InvalidFields([FieldProblem("messageId", "must be a UUID in lower case with hyphens")])
    return message_id


def check_client_id(field: str, value: str) -> str:
    """Return an id, named ``field``, from a request's path or head.

    Raises:
        InvalidFields: it is no id that a client may choose.
    """
    if not is_client_id(value):
        raise InvalidFields([FieldProblem(field, _CLIENT_ID)])
    return value


def check_job_id(job_id: str) -> str:
    """Return the id from a request's path.

    Raises:
        InvalidFields: RQ has no jobs with such ids.
    """
    if not _JOB_ID.match(job_id):
        raise InvalidFields([FieldProblem("jobId", f"must be 1 to {MAX_JOB_ID} characters of A-Z a-z 0-9 _ -")])
    return job_id


def read_numbers(query: MultiDict[str, str], allowed: Iterable[str]) -> dict[str, int]:
    """Return a query's parameters, each a whole number that is 0 or more.

    Raises:
        InvalidFields: naming each that is no such number, is there twice, or is not ``allowed``.
    """
    numbers: dict[str, int] = {}
    problems: list[FieldProblem] = []
    for name, values in query.lists():
        if name not in allowed:
            problems.append(FieldProblem(name[:100], "is not a known parameter"))
        elif len(values) > 1:
            problems.append(FieldProblem(name, "is there more than once"))
        elif not _NUMBER.match(values[0]):
            problems.append(FieldProblem(name, "must be a whole number, 0 or more"))
        else:
            numbers[name] = int(values[0])
    if problems:
        raise InvalidFields(problems)
    return numbers
