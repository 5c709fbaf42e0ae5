"""The one encoder and the one decoder of everything that chatq reads and writes as JSON.

:func:`decode` turns bytes from outside into a typed value or an error that names every field that is
wrong. The fast way is msgspec's; only when that refuses is the document walked field by field, so that
one answer names all that has to be mended.
"""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from chatq.domain.ids import CLIENT_ID_IN_WORDS, CLIENT_ID_PATTERN, UUID_PATTERN
from chatq.errors import FieldProblem, InvalidFields, MalformedJson

T = TypeVar("T")

EXPLAIN = "explain"
"""Key in ``msgspec.Meta.extra`` of a function that says what is wrong with a string, or None."""
NOT_PUBLISHED = {"x-internal": True}
"""Marks, in ``msgspec.Meta.extra_json_schema``, a field that is for chatq's own jobs and imports: the interface's
documents leave it out, and who sends it over HTTP or a websocket is refused."""

Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time as chatq writes it: RFC 3339, UTC, in milliseconds."""
ClientId = Annotated[
    str,
    msgspec.Meta(
        pattern=CLIENT_ID_PATTERN,
        min_length=1,
        max_length=128,
        description=CLIENT_ID_IN_WORDS,
    ),
]
MessageId = Annotated[str, msgspec.Meta(pattern=UUID_PATTERN, description="a UUID in lower case with hyphens")]

_encoder = msgspec.json.Encoder()
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class Wire(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What every type on the wire is: camelCase names, unknown fields refused."""


def encode(value: object) -> bytes:
    """Return ``value`` as compact JSON in UTF-8, on one line."""
    return _encoder.encode(value)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return ``data``, a JSON document, as a value of the wire type ``kind``.

    Raises:
        MalformedJson: it is no JSON, not UTF-8, nested too deeply, or contains half a surrogate pair.
        InvalidFields: it is JSON, but not of this type; every field that is wrong is named.
    """
    try:
        return cast("T", _decoder(cast("Any", kind)).decode(data))
    except msgspec.ValidationError as error:
        problems = find_problems(parse(data), kind)
        raise InvalidFields(problems or [FieldProblem("", str(error))]) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise malformed(data, error) from None


def parse(data: bytes | str) -> Any:
    """Return ``data``, a JSON document, as plain Python values.

    Raises:
        MalformedJson: it is no JSON, not UTF-8, nested too deeply, or contains half a surrogate pair.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise malformed(data, error) from None


def convert(value: object, kind: type[T]) -> T:
    """Return ``value``, made of plain Python values, as a value of the wire type ``kind``.

    Raises:
        InvalidFields: it is not of this type; every field that is wrong is named.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidFields(find_problems(value, kind) or [FieldProblem("", str(error))]) from None
    except RecursionError:
        raise MalformedJson("The document is nested too deeply.") from None


def malformed(data: bytes | str, error: Exception) -> MalformedJson:
    """Return the error for a document that msgspec could not parse, with the reason in words."""
    if isinstance(error, RecursionError):
        return MalformedJson("The document is nested too deeply.")
    if isinstance(error, UnicodeError):
        return MalformedJson("The document is not valid UTF-8.")
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if _SURROGATE_ESCAPE.search(raw):
        return MalformedJson("The document is not well-formed JSON, or a string in it holds half a surrogate pair.")
    return MalformedJson(f"The document is not well-formed JSON: {error}.")


def find_problems(value: object, kind: Any, path: str = "") -> list[FieldProblem]:
    """List everything in ``value`` that does not fit ``kind``, each with its dotted path."""
    if isinstance(value, list) and _is_list(kind):
        return _find_in_list(value, kind, path)
    struct = _struct_in(kind)
    if struct is None or not isinstance(value, dict):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            return [FieldProblem(path, _in_words(kind, value, str(error)))]
        return []
    problems: list[FieldProblem] = []
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    hints = _hints(struct)
    for name, field in fields.items():
        where = f"{path}.{name}" if path else name
        if name in value:
            problems += find_problems(value[name], hints[field.name], where)
        elif field.required:
            problems.append(FieldProblem(where, "is missing"))
    for name in value:
        if name not in fields:
            problems.append(FieldProblem(f"{path}.{name}" if path else str(name), "is not a known field"))
    return problems


def _find_in_list(value: list[Any], kind: Any, path: str) -> list[FieldProblem]:
    """List what is wrong with a list, or else with its elements: the first of them is ``members.0``."""
    metadata = getattr(kind, "__metadata__", ())
    try:
        msgspec.convert(value, Annotated[(list, *metadata)] if metadata else list)
    except msgspec.ValidationError as error:
        return [FieldProblem(path, _in_words(kind, value, str(error)))]
    (element,) = get_args(get_args(kind)[0] if metadata else kind)
    if msgspec.Raw in (element, *get_args(element)):
        # Whatever it is.
        return []
    return [problem for at, each in enumerate(value) for problem in find_problems(each, element, f"{path}.{at}")]


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.cache
def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _is_list(kind: Any) -> bool:
    return list in (get_origin(kind), *map(get_origin, get_args(kind)[:1]))


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct that ``kind`` is, or that is one arm of the optional ``kind``."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    arms = [arm for arm in get_args(kind) if isinstance(arm, type) and issubclass(arm, msgspec.Struct)]
    return arms[0] if len(arms) == 1 and get_origin(kind) is not list else None


def _in_words(kind: Any, value: object, error: str) -> str:
    for part in (kind, *get_args(kind)):
        for meta in getattr(part, "__metadata__", ()):
            if not isinstance(meta, msgspec.Meta) or not isinstance(value, str | list):
                continue
            explain = (meta.extra or {}).get(EXPLAIN)
            if explain and isinstance(value, str) and (problem := explain(value)):
                return str(problem)
            if meta.description:
                return f"must be {meta.description}"
    return error[:1].lower() + error[1:]
