"""JSON Schemas of the wire types, for the documents that describe the interface.

What a class says of itself becomes a description, and so does what stands in quotes under a field.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import inspect as types

Schema = dict[str, Any]


def ref(kind: type) -> Schema:
    """Return the schema that stands for a type of which the components have one."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def schema_of(kind: Any) -> Schema:
    """Return the schema of a type that is no struct: of a parameter."""
    ((schema,), _) = msgspec.json.schema_components([kind])
    return _simplified(schema)


def components(asked: Sequence[type], told: Sequence[type]) -> dict[str, Schema]:
    """Return the schemas of all types that clients send (``asked``) and get (``told``), by name.

    What clients send has the fields that are named and no others; what they get may have more in a later version.
    """
    strict = set(_classes(types.multi_type_info(asked)))
    found: dict[str, Schema] = {}
    kinds = {kind.__name__: kind for kind in _classes(types.multi_type_info([*asked, *told]))}
    _, schemas = msgspec.json.schema_components([*asked, *told], ref_template="#/components/schemas/{name}")
    for name, schema in sorted(schemas.items()):
        found[name] = _described(schema, kinds[name])
        if kinds[name] not in strict:
            found[name].pop("additionalProperties", None)
    return found


def _classes(found: Any) -> Iterator[type]:
    """Yield the classes with fields that lie in what msgspec says of types."""
    if isinstance(found, types.StructType | types.DataclassType):
        yield found.cls
    if isinstance(found, types.Type | types.Field):
        found = [getattr(found, name) for name in found.__struct_fields__]
    if isinstance(found, list | tuple):
        for part in found:
            yield from _classes(part)


def _described(schema: Schema, kind: type) -> Schema:
    notes = {name: note for base in reversed(kind.__mro__) for name, note in _notes(base).items()}
    names = _encoded_names(kind)
    properties = {}
    for name, found in schema["properties"].items():
        field = _simplified(found)
        if field.pop("x-internal", False):
            continue
        # That it may be left out is told by not requiring it; generators of clients require what has a default.
        field.pop("default", None)
        constraint = field.pop("description", "")
        meaning = [notes.get(names.get(name, name), ""), as_sentence(constraint)]
        if any(meaning):
            field = {"description": " ".join(filter(None, meaning)), **field}
        properties[name] = field
    described = {**schema, "properties": properties}
    if "description" in schema:
        described["description"] = _text(schema["description"])
    return described


def as_sentence(text: str) -> str:
    """Return what a type says of its values as a sentence."""
    return text and text[0].upper() + text[1:] + ("." if text[-1].isalnum() else "")


def _encoded_names(kind: type) -> dict[str, str]:
    """Return the names of a class's fields by those on the wire."""
    if not issubclass(kind, msgspec.Struct):
        return {}
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}


def _simplified(schema: Schema) -> Schema:
    """Return a schema in the form that documents of version 3.1 prefer, with patterns that ECMAScript understands."""
    arms = [_simplified(arm) for arm in schema.get("anyOf", ())]
    if len(arms) == 2 and arms[1] == {"type": "null"} and "$ref" not in arms[0]:
        schema = {**schema, **arms[0]}
        del schema["anyOf"]
        if "type" in schema:
            schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    elif arms:
        schema = {**schema, "anyOf": arms}
    if "items" in schema:
        schema = {**schema, "items": _simplified(schema["items"])}
    if schema.get("type") == "object" and "properties" not in schema:
        # It is the same without, but generators of clients take such an object for one that is always empty.
        schema = {**schema, "additionalProperties": True}
    if "pattern" in schema:
        schema = {**schema, "pattern": schema["pattern"].replace(r"\A", "^").replace(r"\Z", "$")}
    if set(map(type, schema.get("enum", ()))) == {str}:
        schema = {"type": "string", **schema}
    return schema


@cache
def _notes(kind: type) -> dict[str, str]:
    """Return what stands in quotes under each field of a class."""
    if not kind.__module__.startswith("chatq."):
        return {}
    return {
        field.target.id: _text(note.value.value)
        for field, note in pairwise(_definitions(kind.__module__)[kind.__name__].body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(note, ast.Expr)
        and isinstance(note.value, ast.Constant)
        and isinstance(note.value.value, str)
    }


@cache
def _definitions(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _text(docstring: str) -> str:
    """Return a docstring as Markdown."""
    return inspect.cleandoc(docstring).replace("``", "`")
