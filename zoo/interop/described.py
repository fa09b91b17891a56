"""`Described`: what a foreign file says of its network's input, each statement with its place; nothing is guessed.

Mean and deviation are in 0..255 and in the order of the network's channels, input = (pixel - mean) / std, whatever range the
file counts in: that is where descriptions of one tensor are most often told apart in vain, or mistaken for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from zoo.interop.cursor import Cursor, Place

Resize = Literal["stretch", "letterbox", "crop", "short side", "long side", "height", "width"]
Colour = Literal["rgb", "bgr"]
Triple = tuple[float, float, float]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Stated(Generic[T_co]):
    """A value, where it stands, and how the file itself puts it."""

    value: T_co
    place: Place
    said: str


def stated(value: T, cursor: Cursor, said: str = "") -> Stated[T]:
    """A statement of the value under `cursor`."""
    return Stated(value, cursor.place, said or cursor.name)


@dataclass(frozen=True)
class Normalised:
    """input = (pixel - centre) / spread, both in 0..255."""

    centre: Triple
    spread: Triple

    def __str__(self) -> str:
        return f"(pixel - {_numbers(self.centre)}) / {_numbers(self.spread)}"


def _numbers(values: Triple) -> str:
    return f"{values[0]:.6g}" if len(set(values)) == 1 else "[" + ", ".join(f"{value:.6g}" for value in values) + "]"


@dataclass(frozen=True)
class Described:
    """The input tensor as one file tells it; None is what it does not say. Sizes are (height, width), None a side that is free."""

    where: Place
    size: Stated[tuple[int | None, int | None]] | None = None
    compiled: Stated[tuple[int, int]] | None = None
    shape: Stated[tuple[int, ...]] | None = None
    input: str = ""
    resize: Stated[Resize] | None = None
    scaled: Stated[tuple[int, int]] | None = None
    interpolation: Stated[str] | None = None
    colour: Stated[Colour] | None = None
    normalised: Stated[Normalised] | None = None
    pad: Stated[Triple] | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
