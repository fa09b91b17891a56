"""`Draft`: a recipe in the making, and what of its sources has not come into it; written out with comments."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zoo.document import Document, KeyPath
from zoo.interop.cursor import Cursor, path_shown, printable

WIDTH = 118
#: text that means itself in YAML without quotes
_PLAIN = re.compile(r"[A-Za-z_][\w./+-]*(?::[\w./+-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


@dataclass
class Draft:
    """`data` is the recipe; `remarks` are the comments that stand before its parts, by path."""

    sources: tuple[Document, ...]
    data: dict[str, Any] = field(default_factory=dict)
    remarks: dict[KeyPath, list[str]] = field(default_factory=dict)
    carried: dict[tuple[str, KeyPath], str] = field(default_factory=dict)
    """(file, path in it) -> the path in the recipe that it came to; all that is under it came along."""
    beside: list[str] = field(default_factory=list)
    """What of the sources is of other models than this one, in words."""
    others: set[tuple[str, KeyPath]] = field(default_factory=set)

    def take(self, at: Cursor, into: str) -> Any:
        """The value under `at`, which comes to `into` of the recipe."""
        if at.exists:
            self.carried[at.document.name, at.path] = into
        return at.value

    def remark(self, text: str, *path: str | int) -> None:
        """Say something at a part of the recipe."""
        self.remarks.setdefault(path, []).append(text)

    def left(self, document: Document) -> Iterator[tuple[KeyPath, Any]]:
        """Everything of a source that has not been taken."""
        for path, value in leaves(document.data):
            above = {(document.name, path[:count]) for count in range(len(path) + 1)}
            if not above & self.carried.keys() and not above & self.others:
                yield path, value

    def text(self, made_by: str) -> str:
        """The recipe as YAML."""
        lines = ["# yaml-language-server: $schema=../docs/schema/recipe.json", *_comment(f"Made by `{made_by}`.", "")]
        lines += _block(self.data, (), self.remarks, 0)
        rest = [(document, list(self.left(document))) for document in self.sources]
        if any(left for _, left in rest) or self.beside:
            lines += ["", "# What could not be carried over:"]
            for document, left in rest:
                for path, value in left:
                    line = document.position(path)[0]
                    lines.append(f"#   {printable(document.name)}:{line}: {path_shown(path)}: {said(value)}")
            lines += [f"#   {printable(text)}" for text in self.beside]
        return "\n".join(lines) + "\n"


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value of a document that holds no others."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path, value


def said(value: Any) -> str:
    """A value in one line of a comment, whole."""
    if isinstance(value, int) and value.bit_length() > 4000:
        return hex(value)
    return printable(value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool | None) else str(value))


def flow(value: Any) -> str:
    """A value on one line, in YAML 1.2."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(printable(value), ensure_ascii=False)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value)


def _block(data: dict[str, Any], path: KeyPath, remarks: dict[KeyPath, list[str]], depth: int) -> list[str]:
    indent = "  " * depth
    lines: list[str] = []
    for key, value in data.items():
        here = (*path, key)
        if not depth and lines and (here in remarks or isinstance(value, dict | list)):
            lines.append("")
        for remark in remarks.get(here, ()):
            lines += _comment(remark, indent)
        inside = any(other[: len(here)] == here and other != here for other in remarks)
        if value is None:
            lines.append(f"{indent}{flow(key)}:")
        elif not isinstance(value, dict | list) or not value or (not inside and _short(value) and len(indent + key + flow(value)) < WIDTH):
            lines.append(f"{indent}{flow(key)}: {flow(value)}")
        elif isinstance(value, dict):
            lines += [f"{indent}{flow(key)}:", *_block(value, here, remarks, depth + 1)]
        else:
            lines.append(f"{indent}{flow(key)}:")
            for place, item in enumerate(value):
                lines += _item(item, (*here, place), remarks, depth + 1)
    return lines


def _item(item: Any, path: KeyPath, remarks: dict[KeyPath, list[str]], depth: int) -> list[str]:
    indent = "  " * depth
    lines = [line for remark in remarks.get(path, ()) for line in _comment(remark, indent)]
    if not isinstance(item, dict) or (_short(item) and len(indent + flow(item)) < WIDTH):
        return [*lines, f"{indent}- {flow(item)}"]
    body = _block(item, path, remarks, depth + 1)
    first = next(place for place, line in enumerate(body) if not line.lstrip().startswith("#"))
    body[first] = f"{indent}- {body[first].lstrip()}"
    return [*lines, *body]


def _short(value: Any) -> bool:
    """Whether a value reads well on one line: nothing in it holds a mapping of its own."""
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict) and None in parts:
        return False
    return not any(isinstance(part, dict | list) and any(isinstance(inner, dict) for inner in part) for part in parts) and not (
        isinstance(value, list) and any(isinstance(part, dict) for part in value)
    )


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(printable(text), WIDTH - len(indent), break_long_words=False)]
