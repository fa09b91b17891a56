"""A tolerant look into a document: nothing that it holds, or lacks, is an error here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from zoo.document import Document, KeyPath, path_text

SHOWN = 60
LARGEST = 1e9


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def shown(value: Any) -> str:
    """A value of a foreign file as it may be printed: short, in one line, without control characters."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = {None: "nothing (null)", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else None
    text = text or printable(value if isinstance(value, str) else str(value))
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def printable(text: str) -> str:
    """A text whose control characters, line breaks and lone surrogates are written out as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def path_shown(path: KeyPath) -> str:
    """A path as people write it, whatever its keys are."""
    return printable(path_text(tuple(shown(step) if isinstance(step, int) and step.bit_length() > 128 else step for step in path)))


class Cursor:
    """One place of a document, which may hold anything or not be there at all."""

    __slots__ = ("document", "exists", "path", "value")

    def __init__(self, document: Document, path: KeyPath = (), value: Any = None, exists: bool = True) -> None:
        self.document = document
        self.path = path
        self.value = value if path else document.data
        self.exists = exists

    def at(self, *steps: str | int) -> Cursor:
        """What stands under these keys and places of lists."""
        here: Any = self.value
        exists = self.exists
        for step in steps:
            inside = range(len(here)) if isinstance(here, list) else here if isinstance(here, dict) else ()
            exists = step in inside
            here = here[step] if exists else None
        return Cursor(self.document, (*self.path, *steps), here, exists)

    def items(self) -> list[Cursor]:
        """The parts of a list; none where there is none."""
        return [self.at(place) for place in range(len(self.value))] if isinstance(self.value, list) else []

    def entries(self) -> list[tuple[Any, Cursor]]:
        """Key and value of a mapping; none where there is none."""
        return [(key, self.at(key)) for key in self.value] if isinstance(self.value, dict) else []

    @property
    def place(self) -> Place:
        """Where the value stands, or what is nearest around it."""
        return Place(self.document.name, *self.document.position(self.path))

    @property
    def key_place(self) -> Place:
        """Where the key stands whose value this is."""
        return Place(self.document.name, *self.document.position(self.path, key=True))

    @property
    def name(self) -> str:
        """The path as people write it."""
        return path_shown(self.path)

    def text(self) -> str | None:
        """The value where it is text with something in it."""
        return self.value if isinstance(self.value, str) and self.value.strip() else None

    def number(self) -> float | None:
        """The value where it is a number that a tensor's description may hold."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST or not math.isfinite(value):
            return None
        return float(value)

    def whole(self) -> int | None:
        """The value where it is a whole number."""
        return int(self.value) if isinstance(self.value, int) and self.number() is not None else None

    def wholes(self) -> tuple[int, ...] | None:
        """A list of whole numbers, or one alone."""
        parts = self.items() or ([self] if self.number() is not None else [])
        found = [part.whole() for part in parts]
        return None if not found or None in found else tuple(number for number in found if number is not None)

    def three(self) -> tuple[float, float, float] | None:
        """Three numbers, one for each channel; one alone stands for all."""
        parts = [part.number() for part in self.items()] or [self.number()]
        numbers = [number for number in parts if number is not None]
        if len(numbers) != len(parts) or len(numbers) not in (1, 3):
            return None
        first, second, third = numbers * 3 if len(numbers) == 1 else numbers
        return first, second, third
