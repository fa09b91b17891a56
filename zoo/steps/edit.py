"""Graph surgery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.context import Context
from zoo.edits import Edit
from zoo.steps.bundle import Bundle
from zoo.steps.step import Step


class EditOnnx(Step, frozen=True, kw_only=True, tag="edit"):
    """Apply edits in order; each leaves a graph that passes ONNX's full check and loads."""

    edits: tuple[Edit, ...]

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("onnx", "onnxsim", "onnx-graphsurgeon")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `model`; writes model.onnx and its records."""
        bundle = Bundle.read(given["model"])
        graph, preprocess = bundle.graph, bundle.preprocess
        for done, edit in enumerate(self.edits):
            context.report(type(edit).__name__, done, len(self.edits), "edits")
            graph, preprocess = edit.apply(graph, preprocess)
        Bundle(graph, preprocess, bundle.provenance).write(out)
