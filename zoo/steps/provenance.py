"""What is known about the weights in an artifact; it travels with everything made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from zoo.files import write_bytes
from zoo.record import Record, canonical
from zoo.weights import Reader

NAME = "provenance.json"


class Provenance(Record, frozen=True, kw_only=True):
    """Where weights came from, how they are read, and whether they are the real ones."""

    source: Annotated[str, Meta(description="the source in words")]
    files: Annotated[dict[str, str], Meta(description="file name -> sha256")]
    reader: Annotated[Reader | None, Meta(description="how the files are read")] = None
    substitute: Annotated[str, Meta(description="what stands in for the official weights; empty: these are the official ones")] = ""
    rehearsal: Annotated[bool, Meta(description="seeded weights: nothing that is measured with them is an accuracy")] = False

    def write(self, folder: Path) -> None:
        """Write provenance.json into `folder`."""
        write_bytes(folder / NAME, canonical(self) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Provenance:
        """Read it from an artifact."""
        return msgspec.json.decode((folder / NAME).read_bytes(), type=cls)
