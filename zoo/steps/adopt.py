"""A network that is published as an ONNX file becomes ours: the form that every export has, and proof that it computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.backends.folder import fix
from zoo.backends.onnxruntime import OnnxRuntime
from zoo.context import Context
from zoo.edits.graph import checked, load, unknown
from zoo.edits.keep_outputs import KeepOutputs
from zoo.edits.published import free_batch, modern
from zoo.edits.rename import Rename
from zoo.errors import StepFailed
from zoo.models.onnx_graph import OnnxGraph
from zoo.pose.preprocess import Preprocess
from zoo.steps.bundle import Bundle
from zoo.steps.export import Export
from zoo.steps.provenance import Provenance
from zoo.steps.step import Step
from zoo.weights.onnx import OnnxReader

if TYPE_CHECKING:
    import onnx

    from zoo.backends.runner import Runner

#: the largest difference, in parts of an output's scale: arithmetic in another order, and nothing more
TOLERANCE = 1e-4


class AdoptOnnx(Step, frozen=True, kw_only=True, tag="adopt"):
    """Take a published graph, bring it to the form that `export` asks for, and prove on random images that it computes what
    the published file computes, in a batch too."""

    model: OnnxGraph
    export: Export
    preprocess: Preprocess

    def tools(self) -> tuple[str, ...]:
        """The distributions whose versions change the outcome."""
        return ("onnx", "onnx-graphsurgeon", "onnxruntime")

    def run(self, given: Mapping[str, Path], out: Path, context: Context) -> None:
        """Reads `weights`; writes model.onnx and its records. Raises StepFailed where the file is not what the recipe says."""
        provenance = Provenance.read(given["weights"])
        if not isinstance(provenance.reader, OnnxReader):
            raise AssertionError("a published graph that is read as something else")
        context.report("adopting")
        graph = self._adopted(provenance.reader.read(given["weights"]))
        context.report("comparing with the published file")
        with published(given["weights"], context) as original:
            self._prove(graph, original)
        Bundle(graph, self.preprocess, provenance).write(out)

    def _adopted(self, model: onnx.ModelProto) -> onnx.ModelProto:
        graph = modern(model, self.export.opset, self.export.ir)
        name, outputs = self._described(graph)
        if name != self.export.input:
            graph, _ = Rename(names={name: self.export.input}).apply(graph, self.preprocess)
        if tuple(self.model.outputs) != outputs:
            graph, _ = KeepOutputs(outputs=tuple(self.model.outputs)).apply(graph, self.preprocess)
        axes = ("batch", "channels", "height", "width")
        free = [axis in self.export.dynamic for axis in axes]
        dimensions = graph.graph.input[0].type.tensor_type.shape.dim
        for axis, dynamic, dimension in zip(axes[2:], free[2:], dimensions[2:], strict=True):
            if dynamic and dimension.HasField("dim_value"):
                raise StepFailed(
                    f"the {axis} of the published graph's input is {dimension.dim_value}, and no other",
                    f"leave `{axis}` out of `dynamic:` under `export:`",
                )
        fix(
            graph,
            {self.export.input: tuple(None if dynamic else size for dynamic, size in zip(free, self.export.shape, strict=True))},
        )
        if free[0]:
            free_batch(graph)
        graph.ir_version = self.export.ir
        return checked(graph)

    def _described(self, model: onnx.ModelProto) -> tuple[str, tuple[str, ...]]:
        """The names of the input and of the outputs. Raises StepFailed where they are not what the recipe says."""
        import onnx

        fed = model.graph.input
        if len(fed) != 1:
            raise StepFailed(
                f"the published graph has {len(fed)} inputs: {', '.join(value.name for value in fed)}", "it is to have one, the image"
            )
        kind = fed[0].type.tensor_type
        if kind.elem_type != onnx.TensorProto.FLOAT or len(kind.shape.dim) != 4:
            raise StepFailed(f"the input {fed[0].name!r} of the published graph is not float32 (N, 3, H, W)", "other layouts are not taken")
        if kind.shape.dim[0].HasField("dim_value") and kind.shape.dim[0].dim_value != 1:
            raise StepFailed(
                f"the published graph is written for {kind.shape.dim[0].dim_value} images at once", "one, or any number, are taken"
            )
        outputs = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in model.graph.output}
        for name, channels in self.model.outputs.items():
            if name not in outputs:
                raise unknown("output", name, outputs)
            read = [outputs[name][axis] for axis in (1, -1)] if len(outputs[name]) > 1 else []
            if read and channels not in read and 0 not in read:
                raise StepFailed(
                    f"the output {name!r} of the published graph has the shape {outputs[name]}, and no {channels} channels",
                    "correct `outputs:` under `model:`",
                )
        return fed[0].name, tuple(outputs)

    def _prove(self, graph: onnx.ModelProto, original: Runner) -> None:
        """Hold the adopted graph against the published one, on each image by itself and then on all at once."""
        images = self._images()
        source = next(iter(original.inputs))
        wanted = [original({source: image[None]}) for image in images]
        names = list(self.model.outputs)
        # nothing optimised: what stands in the graph, and not what a runtime makes of it
        session = load(graph)

        def run(tensor: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
            return dict(zip(names, session.run(names, {self.export.input: tensor}), strict=True))

        for image, said in zip(images, wanted, strict=True):
            if fault := _differs(said, run(image[None])):
                raise StepFailed(
                    f"the adopted graph does not compute what the published one does: {fault}", "say another `opset:` under `export:`"
                )
        if "batch" not in self.export.dynamic:
            return
        try:
            fault = _differs({name: np.concatenate([said[name] for said in wanted]) for name in names}, run(images))
        except Exception as error:  # ONNX Runtime's own errors have no common base
            fault = str(error)
        if fault:
            raise StepFailed(
                f"the published graph is written for one image at a time: of two at once it does not compute the same: {fault}",
                "leave `batch` out of `dynamic:` under `export:`; it stays at the batch that it has",
            )

    def _images(self) -> NDArray[np.float32]:
        """Two images of noise, as the network is fed: (2, 3, H, W)."""
        pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, *self.export.shape[2:]))
        mean, std = (np.reshape(values, (1, 3, 1, 1)) for values in (self.preprocess.mean, self.preprocess.std))
        return np.asarray((pixels - mean) / std, np.float32)


def published(weights: Path, context: Context) -> Runner:
    """The untouched file of an artifact of weights, opened in ONNX Runtime."""
    reader = Provenance.read(weights).reader
    if reader is None:
        raise AssertionError("a published graph without a reader")
    return OnnxRuntime().open(weights, threads=context.threads, file=reader.file)


def _differs(wanted: Mapping[str, NDArray[Any]], got: Mapping[str, NDArray[Any]]) -> str:
    """The first output of `got` that is not as `wanted`, in words; empty: they agree."""
    for name, values in got.items():
        if values.shape != wanted[name].shape:
            return f"{name} has the shape {values.shape} instead of {wanted[name].shape}"
        difference, scale = float(np.abs(values - wanted[name]).max()), float(np.abs(wanted[name]).max())
        # nan is no agreement
        if not difference <= TOLERANCE * scale:
            return f"{name} differs by {difference:g}, at a scale of {scale:g}"
    return ""
