"""What is known about the weights in an artifact; it travels with everything made from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from zoo.files import write_bytes
from zoo.licence import Use, joined, strictest, words
from zoo.record import Record, canonical
from zoo.weights import Reader

NAME = "provenance.json"


class Provenance(Record, frozen=True, kw_only=True):
    """Where weights came from, how they are read, and whether they are the real ones."""

    source: Annotated[str, Meta(description="the source in words")]
    files: Annotated[dict[str, str], Meta(description="file name -> sha256")]
    reader: Annotated[Reader | None, Meta(description="how the files are read")] = None
    substitute: Annotated[str, Meta(description="what stands in for the official weights; empty: these are the official ones")] = ""
    licence: Annotated[str, Meta(description="the terms of these weights, in words")]
    use: Annotated[Use, Meta(description="what the terms allow")]
    rehearsal: Annotated[bool, Meta(description="seeded weights: nothing that is measured with them is an accuracy")] = False

    def write(self, folder: Path) -> None:
        """Write provenance.json into `folder`."""
        write_bytes(folder / NAME, canonical(self) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Provenance:
        """Read it from an artifact."""
        return msgspec.json.decode((folder / NAME).read_bytes(), type=cls)


def together(parts: Mapping[str, Provenance]) -> Provenance:
    """That of a pipeline, from those of its parts by role: a rehearsal as soon as one of them is."""

    def said(words: Mapping[str, str]) -> str:
        return "; ".join(f"{role}: {text}" for role, text in words.items() if text)

    return Provenance(
        source=said({role: part.source for role, part in parts.items()}),
        files={f"{role}/{name}": digest for role, part in parts.items() for name, digest in part.files.items()},
        substitute=said({role: part.substitute for role, part in parts.items()}),
        licence=joined({role: words(part.licence, part.use) for role, part in parts.items()}),
        use=strictest(part.use for part in parts.values()),
        rehearsal=any(part.rehearsal for part in parts.values()),
    )
