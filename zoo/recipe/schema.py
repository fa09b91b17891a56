"""Documents against records, and the JSON Schema that editors complete from.

`msgspec.convert` decides; a document that it accepts costs nothing more. One that it refuses (it stops
at the first fault and knows no lines) is walked for all its faults. The two must agree: a refused
document in which the walk finds nothing is a bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, TypeVar

import msgspec

from zoo.document import Document
from zoo.errors import Problem, RecipeError
from zoo.recipe.walk import walk

T = TypeVar("T")


def convert(document: Document, kind: type[T]) -> T:
    """The record that a document declares. Raises RecipeError with every problem of it."""
    try:
        return msgspec.convert(document.data, kind)
    except msgspec.ValidationError as error:
        if found := walk(document, kind):
            raise RecipeError(found) from None
        raise AssertionError(f"{document.name}: refused, and no reason found: {error}") from error


def problems(document: Document, kind: type[Any]) -> list[Problem]:
    """Everything that keeps a document from being a `kind`, in the order of its lines."""
    try:
        convert(document, kind)
    except RecipeError as error:
        return error.problems
    return []


_ORDER = ("$schema", "title", "description", "$ref", "type", "const", "enum", "default", "required", "properties", "if", "then", "else")


def emit(kind: type[Any], title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record, made for editors.

    A union of choices becomes one `if`/`then` for each tag instead of an `anyOf`: an editor offers the tags
    first and then the keys of that tag alone, and its complaints are about that branch alone. A field whose `Meta` brings
    `properties` may be a mapping of these instead of the record, as `preprocess` may name a file. It accepts what
    `convert` accepts of a recipe whose files were read, and besides what only `__post_init__` or the words allowed as
    keys of a dict refuse."""
    (top,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **_edited(top)}
    return _ordered(whole) | {"$defs": {name: _edited(parts[name]) for name in sorted(parts)}}


def _ordered(schema: Mapping[str, Any]) -> dict[str, Any]:
    rank = {name: place for place, name in enumerate(_ORDER)}
    return {name: schema[name] for name in sorted(schema, key=lambda name: (rank.get(name, len(rank)), name))}


def _edited(schema: Any) -> Any:
    """A schema of msgspec's, and all within it, in the form that editors follow."""
    if isinstance(schema, list):
        return [_edited(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for name, value in schema.items():
        if name in ("default", "enum", "const", "required", "discriminator"):
            out[name] = value
        elif name == "properties":
            out[name] = {key: _edited(part) for key, part in value.items()}
        else:
            out[name] = cleandoc(value) if name == "description" else _edited(value)
    if "discriminator" in out:
        del out["anyOf"]
        out |= _branches(**out.pop("discriminator"))
    if "$ref" in out and "properties" in out:
        instead = out["properties"]
        short = {"required": [*instead], "properties": instead, "additionalProperties": False}
        out |= {
            "type": "object",
            "if": {"anyOf": [{"required": [key]} for key in instead]},
            "then": short,
            "else": {"$ref": out.pop("$ref")},
        }
    for name, part in out.get("properties", {}).items():
        # the tag of a choice that stands alone may be left out; where there is a choice, `_branches` requires it
        if len(part.get("enum", ())) == 1 and name == "type" and "default" not in part:
            out["properties"][name] = {"const": part["enum"][0], "description": out.get("description", "").partition("\n")[0]}
            out["required"] = [key for key in out.get("required", ()) if key != name]
    return _ordered(out)


def _branches(propertyName: str, mapping: Mapping[str, str]) -> dict[str, Any]:  # noqa: N803 - JSON Schema's name
    return {
        "type": "object",
        "required": [propertyName],
        "properties": {propertyName: {"enum": list(mapping)}},
        "allOf": [
            {"if": {"required": [propertyName], "properties": {propertyName: {"const": tag}}}, "then": {"$ref": reference}}
            for tag, reference in mapping.items()
        ],
    }
