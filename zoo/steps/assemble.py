"""The compiled networks of a pipeline, laid side by side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from zoo.context import Context
from zoo.files import write_bytes
from zoo.pipelines import Pipeline
from zoo.record import canonical
from zoo.steps.provenance import Provenance, together
from zoo.steps.step import Step

RECORD = "pipeline.json"


class Assemble(Step, frozen=True, kw_only=True, tag="assemble"):
    """One folder that holds a whole pipeline: a folder for each role, and what joins them."""

    pipeline: Pipeline

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads each role's compiled model; writes `<role>/`, pipeline.json and the provenance of all."""
        for role, folder in given.items():
            context.report(f"adding {role}")
            shutil.copytree(folder, out / role, copy_function=_linked)
        together({role: Provenance.read(folder) for role, folder in given.items()}).write(out)
        write_bytes(out / RECORD, canonical(self.pipeline) + b"\n")


def _linked(source: str, target: str) -> None:
    """A second name for the same bytes, which in the store nobody changes; a copy where the file system knows no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
