"""What is wrong with a value that msgspec refuses: everything, at its place, in plain words.

The walk follows `msgspec.inspect`'s description of the type rather than the JSON Schema made from it,
because that still knows the classes: each record whose parts are sound is built, so that what its
`__post_init__` refuses is reported wherever it happens, and not only the first time.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import repeat
from typing import Any

import msgspec
from msgspec import inspect

from zoo.document import Document, KeyPath
from zoo.errors import Problem

_YAML_1_1 = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON"), "true"),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF"), "false"),
}
_NOUNS: Mapping[type, str] = {
    inspect.NoneType: "nothing (null)",
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.DictType: "a mapping",
}
_BOUNDS = (
    ("ge", operator.ge, "at least"),
    ("gt", operator.gt, "more than"),
    ("le", operator.le, "at most"),
    ("lt", operator.lt, "less than"),
)


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without its description."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def _alternatives(kind: inspect.Type) -> list[inspect.Type]:
    kind = _bare(kind)
    return [_bare(one) for one in kind.types] if isinstance(kind, inspect.UnionType) else [kind]


def _words(kind: inspect.Type) -> list[Any]:
    """The values of a literal or an enumeration."""
    return [member.value for member in kind.cls] if isinstance(kind, inspect.EnumType) else list(getattr(kind, "values", ()))


def _takes(kind: inspect.Type, value: Any) -> bool:
    """Whether a value is of the sort that a type is about: its content is looked at later."""
    match kind:
        case inspect.AnyType():
            return True
        case inspect.NoneType():
            return value is None
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return type(value) is int
        case inspect.FloatType():
            return type(value) in (int, float)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.LiteralType() | inspect.EnumType():
            return type(value) in {type(word) for word in _words(kind)}
        case inspect.CollectionType() | inspect.TupleType():
            return isinstance(value, list)
        case inspect.DictType() | inspect.StructType():
            return isinstance(value, dict)
    raise TypeError(f"a record's field is of a type that no YAML value has: {kind}")


def expected(kind: inspect.Type) -> str:
    """What a type wants, as the writer of a recipe would say it."""
    alternatives = _alternatives(kind)
    tags = [str(one.tag) for one in alternatives if isinstance(one, inspect.StructType) and one.tag is not None]
    nouns: list[str] = []
    for one in sorted(alternatives, key=lambda one: isinstance(one, inspect.NoneType)):
        match one:
            case inspect.StructType() if one.tag is not None:
                noun = f"a mapping with {one.tag_field}: {' | '.join(tags)}"
            case inspect.StructType():
                needed = [field.encode_name for field in one.fields if field.required]
                noun = f"a mapping with {', '.join(needed)}" if needed else "a mapping"
            case inspect.LiteralType() | inspect.EnumType():
                noun = " or ".join("nothing (null)" if word is None else str(word) for word in _words(one))
            case inspect.TupleType():
                noun = f"a list of {len(one.item_types)}"
            case inspect.CollectionType():
                noun = "a list"
            case _:
                noun = _NOUNS.get(type(one), "a value")
        if noun not in nouns:
            nouns.append(noun)
    return " or ".join(nouns)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`: did you mean 'x'? (allowed: x, y)`, or the allowed words alone where none is near."""
    names = list(allowed)
    near = get_close_matches(word, names, n=1, cutoff=0.5) or [name for name in names if name.lower() == word.lower()]
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return f"{meant} (allowed: {', '.join(names) if names else 'none'})"


def found(value: Any) -> str:
    """What stands in a document, as its reader would say it."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return str(value).lower()
        case int() | float():
            return (
                f"the number {value}" if isinstance(value, float) or value.bit_length() < 128 else f"a number of {value.bit_length()} bits"
            )
        case str():
            return f"text '{value if len(value) <= 40 else value[:37] + '...'}'" if value else "empty text"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list():
            return "a list" if value else "an empty list"
    return f"a {type(value).__name__}"


def walk(document: Document, kind: type[Any]) -> list[Problem]:
    """Every fault of a document that is to be a `kind`.

    A ValueError that a record's `__post_init__` raises stands at the record, or at one of its fields where
    its text begins with the field's name and a colon."""
    walker = _Walk(document)
    walker.value(document.data, inspect.type_info(kind), ())
    return sorted(walker.problems)


class _Walk:
    """One pass over a refused document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def report(self, path: KeyPath, message: str, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, key))

    def value(self, value: Any, kind: inspect.Type, path: KeyPath, key: bool = False) -> None:
        """Report what is wrong with `value`, which stands at `path` (as a key if so told)."""
        fitting = [one for one in _alternatives(kind) if _takes(one, value)]
        if len(fitting) > 1:
            fitting = [one for one in fitting if not isinstance(one, inspect.FloatType)]
        if not fitting:
            self.report(path, f"expected {expected(kind)}, found {found(value)}{_remedy(kind, value)}", key)
        elif isinstance(fitting[0], inspect.StructType):
            self.record(value, [one for one in fitting if isinstance(one, inspect.StructType)], path)
        elif isinstance(fitting[0], inspect.DictType):
            self.sized(value, fitting[0], "key", path)
            for name, item in value.items():
                self.value(name, fitting[0].key_type, (*path, name), key=True)
                self.value(item, fitting[0].value_type, (*path, name))
        elif isinstance(value, list):
            self.items(value, fitting[0], path)
        else:
            self.leaf(value, fitting[0], path, key)

    def record(self, value: dict[Any, Any], kinds: Sequence[inspect.StructType], path: KeyPath) -> None:
        before = len(self.problems)
        kind = kinds[0]
        if kind.tag_field is not None:
            tags = {one.tag: one for one in kinds}
            tag = value.get(kind.tag_field, None if len(kinds) > 1 else kind.tag)
            if kind.tag_field not in value and tag is None:
                self.report(path, f"missing key '{kind.tag_field}': one of {', '.join(map(str, tags))}")
                return
            if not isinstance(tag, str | int) or isinstance(tag, bool) or tag not in tags:
                wrong = f"unknown {kind.tag_field} '{tag}'" if isinstance(tag, str) else f"expected a name, found {found(tag)}"
                self.report((*path, kind.tag_field), wrong + nearest(str(tag), map(str, tags)))
                return
            kind = tags[tag]
        fields = {field.encode_name: field for field in kind.fields}
        for name, item in value.items():
            if name in fields:
                self.value(item, fields[name].type, (*path, name))
            elif name != kind.tag_field and kind.forbid_unknown_fields:
                self.report((*path, name), "unknown key" + nearest(str(name), fields), key=True)
        for name, field in fields.items():
            if field.required and name not in value:
                self.report(path, f"missing key '{name}': {expected(field.type)}")
        if len(self.problems) == before:
            self.build(value, kind, path)

    def build(self, value: dict[Any, Any], kind: inspect.StructType, path: KeyPath) -> None:
        """Report what the record itself refuses, now that its parts are sound."""
        try:
            msgspec.convert(value, kind.cls)
        except msgspec.ValidationError as error:
            cause = error.__cause__
            if not isinstance(cause, ValueError):
                raise
            name, colon, message = str(cause).partition(": ")
            if colon and any(name == field.encode_name for field in kind.fields):
                self.report((*path, name), message)
            else:
                self.report(path, str(cause))

    def items(self, value: list[Any], kind: inspect.Type, path: KeyPath) -> None:
        if isinstance(kind, inspect.TupleType):
            if len(value) != len(kind.item_types):
                self.report(path, f"expected a list of {len(kind.item_types)}, found {len(value)}")
            kinds: Iterable[inspect.Type] = kind.item_types
        elif isinstance(kind, inspect.CollectionType):
            self.sized(value, kind, "item", path)
            kinds = repeat(kind.item_type)
        else:
            return
        for place, (item, one) in enumerate(zip(value, kinds, strict=False)):
            self.value(item, one, (*path, place))

    def sized(self, value: Any, kind: Any, what: str, path: KeyPath, key: bool = False) -> None:
        size = len(value)
        if kind.min_length is not None and size < kind.min_length:
            self.report(path, f"expected at least {_count(kind.min_length, what)}, found {size}", key)
        if kind.max_length is not None and size > kind.max_length:
            self.report(path, f"expected at most {_count(kind.max_length, what)}, found {size}", key)

    def leaf(self, value: Any, kind: inspect.Type, path: KeyPath, key: bool) -> None:
        match kind:
            case inspect.LiteralType() | inspect.EnumType():
                words = _words(kind)
                if not any(type(word) is type(value) and word == value for word in words):
                    self.report(path, f"{found(value)} is not allowed here" + nearest(str(value), map(str, words)), key)
            case inspect.StrType():
                self.sized(value, kind, "character", path, key)
                if kind.pattern is not None and not re.search(kind.pattern, value):
                    self.report(path, f"expected text that matches {kind.pattern}, found {found(value)}", key)
            case inspect.IntType() | inspect.FloatType():
                self.number(value, kind, path, key)

    def number(self, value: int | float, kind: inspect.IntType | inspect.FloatType, path: KeyPath, key: bool) -> None:
        if isinstance(kind, inspect.FloatType):
            try:
                value = float(value)
            except OverflowError:
                self.report(path, f"{found(value)} is too large", key)
                return
        for name, holds, words in _BOUNDS:
            bound = getattr(kind, name)
            if bound is not None and not holds(value, bound):
                self.report(path, f"expected {expected(kind)} of {words} {bound}, found {found(value)}", key)
                return
        step = kind.multiple_of
        if step is not None and not (math.isfinite(value) and (value % step if isinstance(value, int) else math.fmod(value, step)) == 0):
            self.report(path, f"expected a multiple of {step}, found {found(value)}", key)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _remedy(kind: inspect.Type, value: Any) -> str:
    """What to write instead, where that is plain."""
    alternatives = _alternatives(kind)
    if isinstance(value, str) and value in _YAML_1_1 and any(isinstance(one, inspect.BoolType) for one in alternatives):
        return f"; write {_YAML_1_1[value]}"
    for one in alternatives:
        if isinstance(one, inspect.StructType) and one.tag is not None and one.tag == value:
            return f"; write {{{one.tag_field}: {value}}}"
    if isinstance(value, int | float) and any(isinstance(one, inspect.StrType) for one in alternatives):
        return "; put it in quotes"
    return ""
