"""A graph becomes what a runtime opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.backends import Backend
from zoo.context import Context
from zoo.machine import gpus, isa
from zoo.steps.step import Step


class Compile(Step, frozen=True, kw_only=True, tag="compile"):
    """Hand the graph to a backend."""

    backend: Backend
    precision: str
    device: str
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
    """Least, usual and greatest shape of each input."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return self.backend.tools

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `model`; writes what the backend opens, and the records that travel with a model."""
        context.report("compiling")
        self.backend.compile(given["model"], out, precision=self.precision, shapes=self.shapes, context=context)

    def facts(self, context: Context) -> Mapping[str, Any]:
        """The instruction sets that change arithmetic, and the GPUs that an engine is made for."""
        return {"isa": isa(), "gpus": gpus() if self.backend.gpu else ()}
