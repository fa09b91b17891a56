"""From the parser's events to values with positions, by the rules of a recipe.

PyYAML's own loaders keep neither positions in plain data nor equal keys, and know no limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from zoo.errors import Problem

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]

MAX_DEPTH = 64
MAX_DIGITS = 4000  # Python refuses to make an int of more than 4300
MAX_VALUES = 100_000
"""How many values a document may hold once its aliases are written out."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)

# what libyaml says -> what the writer of the file can do with it
_PLAINLY = (
    (
        "that cannot start any token",
        "a character that cannot stand here: indent with spaces, not tabs; quote text that begins with @, ` or %",
    ),
    ("mapping values are not allowed", "a ': ' where no value can follow: check the indentation, or quote the text"),
    ("did not find expected key", "the indentation fits no line above, or a bracket or quote is not closed"),
    ("could not find expected ':'", "a key without ': '"),
    ("did not find expected '-' indicator", "a list item was expected: '- ' at the column of the others"),
    ("did not find expected ',' or ']'", "a list in [ ] is not closed, or a comma is missing"),
    ("did not find expected ',' or '}'", "a mapping in { } is not closed, or a comma is missing"),
    ("found unexpected end of stream", "a quote is not closed"),
    ("found undefined alias", "a value that begins with * is an alias: quote the text"),
)


@dataclass(slots=True)
class Node:
    """A value with its position; mappings and lists have children, mappings the positions of their keys."""

    value: Any
    where: Position
    children: dict[Any, Node] = field(default_factory=dict)
    keys: dict[Any, Position] = field(default_factory=dict)
    size: int = 1


class Stop(Exception):
    """There is no sense in reading on."""


def path_text(path: KeyPath) -> str:
    """A path as people write it: `weights[0].files[1].hash`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif isinstance(step, str) and re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


class Reader:
    """Builds values from the parser's events, by the rules of a recipe."""

    last_wins = False

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.events: Iterator[Any] = yaml.parse(text, Loader=LOADER)

    def problem(self, mark: Any, path: KeyPath, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.problems.append(Problem(self.name, line, column, path_text(path), message))

    def stop(self, mark: Any, path: KeyPath, message: str) -> NoReturn:
        self.problem(mark, path, message)
        raise Stop

    def documents(self) -> list[Node]:
        roots: list[Node] = []
        try:
            for event in self.events:
                if isinstance(event, DocumentStartEvent):
                    self.begin(event, len(roots))
                    roots.append(self.node(next(self.events), (), 0))
        except Stop:
            pass
        except yaml.YAMLError as error:
            said = getattr(error, "problem", None) or str(error)
            mark, begun = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
            plain = next((plainly for wrong, plainly in _PLAINLY if wrong in said), said)
            if mark and begun and begun.line < mark.line:
                plain += f" (what is read here began in line {begun.line + 1})"
            self.problem(mark or begun, (), plain)
        return roots

    def node(self, event: Any, path: KeyPath, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.stop(event.start_mark, path, f"nested deeper than {MAX_DEPTH} levels")
        if type(event) is AliasEvent:
            return self.alias(event, path)
        node = Node(None, (event.start_mark.line + 1, event.start_mark.column + 1))
        if type(event) is ScalarEvent:
            node.value = self.scalar(event, path)
        elif type(event) is SequenceStartEvent:
            node.value = []
            while type(item := next(self.events)) is not SequenceEndEvent:
                place = len(node.value)
                child = self.node(item, (*path, place), depth + 1)
                node.value.append(child.value)
                self.put(node, place, child, item, path)
        elif type(event) is MappingStartEvent:
            self.mapping(node, path, depth)
        if event.anchor is not None or event.tag is not None:
            self.marked(event, node, path)
        return node

    def mapping(self, node: Node, path: KeyPath, depth: int) -> None:
        node.value = {}
        while type(event := next(self.events)) is not MappingEndEvent:
            key = self.key(event, self.node(event, path, depth + 1).value, path)
            here = (*path, key)
            known = node.keys.get(key)
            if known and not self.last_wins:
                self.problem(event.start_mark, here, f"this key already stands in line {known[0]}")
            item = next(self.events)
            child = self.node(item, here, depth + 1)
            node.keys[key] = (event.start_mark.line + 1, event.start_mark.column + 1)
            node.value[key] = child.value
            self.put(node, key, child, item, path)

    def put(self, node: Node, step: Any, child: Node, event: Any, path: KeyPath) -> None:
        node.children[step] = child
        node.size += child.size
        if node.size > MAX_VALUES:
            self.stop(event.start_mark, path, f"more than {MAX_VALUES} values, aliases written out")

    def begin(self, event: Any, count: int) -> None:
        if count:
            self.stop(event.start_mark, (), "a second document begins here: a recipe is one")

    def marked(self, event: Any, node: Node, path: KeyPath) -> None:
        what = f"the anchor &{event.anchor}" if event.anchor else f"the tag {event.tag}"
        self.problem(event.start_mark, path, f"{what} cannot stand in a recipe: write the value out, or quote the text")

    def alias(self, event: Any, path: KeyPath) -> Node:
        self.problem(event.start_mark, path, f"the alias *{event.anchor} cannot stand in a recipe: write the value out, or quote the text")
        return Node(None, (event.start_mark.line + 1, event.start_mark.column + 1))

    def key(self, event: Any, value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            if value == "<<" and not event.style:
                self.problem(event.start_mark, path, "the merge key << cannot stand in a recipe: write the keys out")
            return value
        if type(event) is ScalarEvent:
            self.problem(event.start_mark, path, f'keys are text: write "{event.value}"')
            return event.value
        if type(event) is not AliasEvent:
            self.problem(event.start_mark, path, "a list or mapping cannot be a key")
        return f"?{len(self.problems)}"

    def scalar(self, event: Any, path: KeyPath) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[0] in "+-.0123456789":
            if _DECIMAL.fullmatch(text):
                if len(text) > MAX_DIGITS:
                    self.problem(event.start_mark, path, f"a number of {len(text)} digits: quote it if it is text")
                    return None
                return int(text)
            if _BASED.fullmatch(text):
                return int(text, 0)
            if _FLOAT.fullmatch(text):
                return float(text)
        return text
