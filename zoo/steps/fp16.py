"""Half precision, written into the graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.context import Context
from zoo.steps.bundle import Bundle
from zoo.steps.step import Step


class Fp16(Step, frozen=True, kw_only=True, tag="fp16"):
    """Constants and arithmetic in float16; inputs and outputs stay float32."""

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("onnx", "onnx-graphsurgeon")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `model`; writes model.onnx and its records."""
        from zoo.edits.half import half

        bundle = Bundle.read(given["model"])
        context.report("converting")
        Bundle(half(bundle.graph), bundle.preprocess, bundle.provenance).write(out)
