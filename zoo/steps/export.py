"""Weights and an architecture become an ONNX file that explains itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from zoo.context import Context
from zoo.models.base import Architecture
from zoo.optional import require
from zoo.pose.preprocess import Preprocess
from zoo.record import Record
from zoo.steps.bundle import Bundle
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.weights.onnx import OnnxReader

if TYPE_CHECKING:
    import torch


class Export(Record, frozen=True, kw_only=True):
    """How the ONNX file is written."""

    opset: Annotated[int, Meta(description="the ONNX operator set", ge=13, le=20)] = 17
    ir: Annotated[int, Meta(description="the version of ONNX's own format", ge=7, le=10)] = 9
    input: Annotated[str, Meta(description="the name of the input")] = "data"
    shape: Annotated[tuple[int, int, int, int], Meta(description="the example input: batch, channels, height, width")]
    dynamic: Annotated[tuple[Literal["batch", "height", "width"], ...], Meta(description="which of its axes may change")] = (
        "batch",
        "height",
        "width",
    )
    torchscript: Annotated[
        str,
        Meta(
            description="also write the network as TorchScript, under this name; it takes any batch and size. Empty: do not",
            pattern=r"^([\w-][\w.-]*\.pt)?$",
        ),
    ] = ""


class ExportOnnx(Step, frozen=True, kw_only=True, tag="export"):
    """Build the module, load the weights strictly, write `model.onnx` with its records beside it."""

    model: Architecture
    export: Export
    preprocess: Preprocess

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("torch", "onnx")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `weights`; writes model.onnx and its records."""
        module, provenance = load(self.model, given["weights"], context)
        context.report("exporting")
        torch = require("torch")
        names = tuple(self.model.outputs)
        axes = {axis: name for axis, name in ((0, "batch"), (2, "height"), (3, "width")) if name in self.export.dynamic}
        path = out / "exported.onnx"
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own news about its successors
            torch.onnx.export(
                module,
                (torch.zeros(self.export.shape),),
                str(path),
                input_names=[self.export.input],
                output_names=list(names),
                opset_version=self.export.opset,
                dynamic_axes={name: _grid(axes) if name != self.export.input else axes for name in (self.export.input, *names)},
                dynamo=False,
            )
        import onnx

        graph = onnx.load(path)
        path.unlink()
        graph.ir_version = self.export.ir
        Bundle(graph, self.preprocess, provenance).write(out)


def load(model: Architecture, folder: Path, context: Context) -> tuple[torch.nn.Module, Provenance]:
    """The module of `model` with the weights in the artifact `folder`, ready to run.

    Raises StepFailed where keys are missing or left over, or a file is not plain tensors.
    """
    provenance = Provenance.read(folder)
    module = model.module()
    if provenance.rehearsal:
        from zoo.weights.seeded import seeded_state

        layout = {name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in module.state_dict().items()}
        state: Mapping[str, Any] = seeded_state(layout, model.gains)
    else:
        context.report("reading the weights")
        if provenance.reader is None or isinstance(provenance.reader, OnnxReader):
            raise AssertionError("weights that are no state dict")
        state = provenance.reader.read(folder)
    model.load(module, state)
    return module, provenance


def _grid(axes: Mapping[int, str]) -> dict[int, str]:
    """The axes of an output: the batch is the input's, height and width are the network's own grid."""
    return {axis: name if name == "batch" else f"output_{name}" for axis, name in axes.items()}
