"""YAML in which every key and value knows its line and column.

Mode `recipe` is what people write for this project: the core schema of YAML 1.2 (`no` is text,
`1e-3` is a number, `0o14` is 12), one document, keys that are text and stand once; no anchors,
aliases, tags or merge keys, so that a recipe says what it means where it stands.

Mode `foreign` is what other projects wrote: YAML 1.1 as PyYAML reads it, with anchors, merge keys
and several documents, within limits (a file of a kilobyte can ask for gigabytes).

Every fault of a text is collected before a `RecipeError` is raised.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, Literal, NoReturn

from zoo.document.foreign import Foreign
from zoo.document.reader import KeyPath, Node, Position, Reader, path_text
from zoo.errors import Problem, RecipeError

__all__ = ["Document", "KeyPath", "Mode", "Position", "parse", "path_text", "read", "read_all"]

Mode = Literal["recipe", "foreign"]

MAX_BYTES = 4 << 20

# YAML 1.1 breaks lines at NEL, LS and PS, which YAML 1.2 and every editor show as nothing: a comment could hide a key
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile(r"\r\n|\r|\n")


class Document:
    """One YAML document: plain data, and where each part of it stands."""

    def __init__(self, name: str, root: Node) -> None:
        self.name = name
        self.data: Any = root.value
        self._root = root

    def position(self, path: KeyPath, key: bool = False) -> Position:
        """Line and column (from 1) of the value at `path`, or of its key.

        What does not exist stands where the nearest thing around it does."""
        node, where = self._root, self._root.where
        for step in path:
            child = node.children.get(step)
            if child is None:
                return node.where
            where = node.keys.get(step, child.where) if key else child.where
            node = child
        return where

    def problem(self, path: KeyPath, message: str, key: bool = False) -> Problem:
        """A fault of the value (or of the key) at `path`."""
        return Problem(self.name, *self.position(path, key), path_text(path), message)


def read(path: Path, mode: Mode = "recipe") -> Document:
    """The one document of a file. Raises RecipeError with every fault of it."""
    return _one(_parse(_text(path), str(path), mode), str(path))


def read_all(path: Path) -> tuple[Document, ...]:
    """The documents of a foreign file. Raises RecipeError."""
    return _parse(_text(path), str(path), "foreign")


def parse(text: str, name: str = "<text>", mode: Mode = "recipe") -> Document:
    """The one document of `text`; `name` stands for the file in messages. Raises RecipeError."""
    return _one(_parse(text, name, mode), name)


def _one(documents: tuple[Document, ...], name: str) -> Document:
    if len(documents) != 1:
        _fail(name, "the file is empty" if not documents else f"{len(documents)} documents in a file where one is read")
    return documents[0]


def _fail(name: str, message: str, where: Position = (1, 1)) -> NoReturn:
    raise RecipeError([Problem(name, *where, "", message)])


def _text(path: Path) -> str:
    """The text of a file, or a RecipeError that says why there is none."""
    try:
        if not path.is_file():
            _fail(str(path), "a folder, not a file" if path.is_dir() else "not a regular file" if path.exists() else "no such file")
        if path.stat().st_size > MAX_BYTES:
            _fail(str(path), f"{path.stat().st_size} bytes: more than the {MAX_BYTES} that a YAML file may have")
        data = path.read_bytes().removeprefix(BOM_UTF8)
    except (OSError, ValueError) as error:
        _fail(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        _fail(str(path), f"not UTF-8 text (byte 0x{data[error.start]:02x}): save the file as UTF-8", _end(before))


def _end(before: str) -> Position:
    """The position of what follows `before`."""
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def _parse(text: str, name: str, mode: Mode) -> tuple[Document, ...]:
    if bad := _UNREADABLE.search(text):
        _fail(name, f"the invisible or forbidden character U+{ord(bad.group()):04X}: delete it", _end(text[: bad.start()]))
    reader = (Reader if mode == "recipe" else Foreign)(text, name)
    roots = reader.documents()
    if reader.problems:
        raise RecipeError(reader.problems)
    return tuple(Document(name, root) for root in roots)
