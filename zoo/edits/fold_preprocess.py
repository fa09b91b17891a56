"""Normalisation as a part of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.edits.graph import checked
from zoo.errors import StepFailed
from zoo.pose.preprocess import Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class FoldPreprocess(Choice, frozen=True, kw_only=True, tag="fold_preprocess"):
    """Put the channel order and (pixel - mean) / std into the graph, so that raw BGR 0..255 (float32) goes in.

    1. The input keeps its name, shape and type.
    2. Where the network wants RGB, the channels are turned round first; `mean` and `std` are in the network's order.
    3. The division is a multiplication by 1 / std, in float32.
    4. What is left to do outside is `Preprocess.folded()`; with nothing to fold, both come back as they were.
    5. StepFailed where the graph has not exactly one input, or it is not float32 (N, 3, H, W)."""

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The graph that normalises by itself, and what is left to do outside."""
        import numpy as np
        import onnx_graphsurgeon as gs

        graph = gs.import_onnx(model)
        if len(graph.inputs) != 1:
            raise StepFailed(f"fold_preprocess wants a graph with one input, this has {len(graph.inputs)}")
        source = graph.inputs[0]
        if source.dtype != np.float32 or source.shape is None or len(source.shape) != 4 or source.shape[1] != 3:
            raise StepFailed(f"fold_preprocess wants a float32 input (N, 3, H, W), {source.name!r} is {source.dtype} {source.shape}")
        if preprocess.raw:
            return checked(model), preprocess

        readers = list(source.outputs)
        last = source

        def add(op: str, value: object, name: str, **attributes: int) -> None:
            nonlocal last
            constant = gs.Constant(f"zoo_preprocess/{name}", np.asarray(value))
            out = gs.Variable(f"zoo_preprocess/{name}_out", dtype=np.float32, shape=source.shape)
            graph.nodes.append(gs.Node(op, f"zoo_preprocess/{op}", attrs=attributes, inputs=[last, constant], outputs=[out]))
            last = out

        if preprocess.colour == "rgb":
            add("Gather", np.array([2, 1, 0], np.int64), "channels", axis=1)
        add("Sub", np.array(preprocess.mean, np.float32).reshape(1, 3, 1, 1), "mean")
        add("Mul", (1 / np.array(preprocess.std, np.float64)).astype(np.float32).reshape(1, 3, 1, 1), "scale")
        for reader in readers:
            reader.inputs = [last if tensor is source else tensor for tensor in reader.inputs]
        graph.outputs = [last if tensor is source else tensor for tensor in graph.outputs]
        graph.cleanup().toposort()
        return checked(gs.export_onnx(graph)), preprocess.folded()
