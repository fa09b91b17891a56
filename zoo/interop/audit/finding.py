"""`Finding`: one fault, where it stands and what to do about it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from zoo.interop.cursor import Place, printable
from zoo.record import Record

Kind = Literal[
    "malformed",  # it cannot be read, or not as what it is
    "unreadable",
    "unknown",  # named on the command line, and of no known kind
    "key",
    "value",
    "colour",  # from here to `interpolation`: two descriptions of one tensor differ
    "normalisation",
    "size",
    "resize",
    "padding",
    "interpolation",
    "range",  # mean and deviation of 0..1 for pixels of 0..255, or the other way round
    "unused",
    "shape",  # what goes in is not what was compiled, or measured
    "calibration",
    "hash",
    "path",
    "recipe",
]


class Finding(Record, frozen=True, kw_only=True, order=True):
    """One fault."""

    file: Annotated[str, Meta(description="the file, as it was named or found")]
    line: int
    column: int
    kind: Kind
    message: Annotated[str, Meta(description="what is wrong")]
    hint: Annotated[str, Meta(description="what to do")] = ""
    other: Annotated[str, Meta(description="file:line:column of the statement that it disagrees with")] = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.kind}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")


def finding(place: Place, kind: Kind, message: str, hint: str = "", other: Place | None = None) -> Finding:
    """A finding at `place`. The file's name may hold anything that a file system allows."""
    at = printable(str(other)) if other else ""
    return Finding(file=printable(place.file), line=place.line, column=place.column, kind=kind, message=message, hint=hint, other=at)
