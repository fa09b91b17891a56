"""Normalisation as a part of the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from zoo.edits.graph import checked
from zoo.errors import StepFailed
from zoo.pose.preprocess import Dtype, Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class FoldPreprocess(Choice, frozen=True, kw_only=True, tag="fold_preprocess"):
    """Put the channel order and (pixel - mean) / std into the graph, so that raw BGR 0..255 goes in.

    1. The input keeps its name and shape. It stays float32, or becomes uint8 with a Cast behind it: a quarter of the bytes to fill,
       for preprocessing that resizes 8-bit pixels and pads with whole levels.
    2. Where the network wants RGB, the channels are turned round first; `mean` and `std` are in the network's order.
    3. The division is a multiplication by 1 / std, in float32.
    4. What is left to do outside is `left`; with nothing to fold and nothing to cast, both come back as they were.
    5. StepFailed where the graph has not exactly one input, it is not float32 (N, 3, H, W), or uint8 cannot hold what goes in."""

    input: Annotated[Dtype, Meta(description="what the graph takes then; uint8: bytes, which it casts by itself")] = "float32"

    def left(self, preprocess: Preprocess) -> Preprocess:
        """What remains to be done outside of the graph."""
        return preprocess.folded(self.input)

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The graph that normalises by itself, and what is left to do outside."""
        import numpy as np
        import onnx
        import onnx_graphsurgeon as gs

        graph = gs.import_onnx(model)
        if len(graph.inputs) != 1:
            raise StepFailed(f"fold_preprocess wants a graph with one input, this has {len(graph.inputs)}")
        source = graph.inputs[0]
        if source.dtype != np.float32 or source.shape is None or len(source.shape) != 4 or source.shape[1] != 3:
            raise StepFailed(f"fold_preprocess wants a float32 input (N, 3, H, W), {source.name!r} is {source.dtype} {source.shape}")
        left = self.left(preprocess)
        if left == preprocess:
            return checked(model), preprocess
        if lost := left.lost():
            raise StepFailed(f"fold_preprocess: {lost}", "leave `input: uint8` away, or change the recipe's `preprocess:`")

        readers = list(source.outputs)
        last = source

        def add(op: str, name: str, *values: Any, **attributes: int) -> None:
            nonlocal last
            constants = [gs.Constant(f"zoo_preprocess/{name}", np.asarray(value)) for value in values]
            out = gs.Variable(f"zoo_preprocess/{name}_out", dtype=np.float32, shape=source.shape)
            graph.nodes.append(gs.Node(op, f"zoo_preprocess/{op}", attrs=attributes, inputs=[last, *constants], outputs=[out]))
            last = out

        if self.input == "uint8":
            source.dtype = np.dtype(np.uint8)
            # first of all: TensorRT takes uint8 at the edge of a graph and nowhere inside
            add("Cast", "float", to=onnx.TensorProto.FLOAT)
        if preprocess.colour == "rgb":
            add("Gather", "channels", np.array([2, 1, 0], np.int64), axis=1)
        if not preprocess.raw:
            add("Sub", "mean", np.array(preprocess.mean, np.float32).reshape(1, 3, 1, 1))
            add("Mul", "scale", (1 / np.array(preprocess.std, np.float64)).astype(np.float32).reshape(1, 3, 1, 1))
        for reader in readers:
            reader.inputs = [last if tensor is source else tensor for tensor in reader.inputs]
        graph.outputs = [last if tensor is source else tensor for tensor in graph.outputs]
        graph.cleanup().toposort()
        return checked(gs.export_onnx(graph)), left


def left_outside(preprocess: Preprocess, edits: Iterable[object]) -> Preprocess:
    """What `edits` leave of `preprocess` to be done outside of the graph."""
    for edit in edits:
        if isinstance(edit, FoldPreprocess):
            preprocess = edit.left(preprocess)
    return preprocess
