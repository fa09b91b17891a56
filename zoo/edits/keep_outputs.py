"""Which tensors come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo.edits.graph import checked, tensor_names, unknown
from zoo.pose.preprocess import Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class KeepOutputs(Choice, frozen=True, kw_only=True, tag="keep_outputs"):
    """Give out exactly these tensors, in this order, and remove what only the others needed.

    1. A name may be that of any tensor of the graph, an output or not.
    2. Every input of the graph stays, read or not.
    3. StepFailed names a tensor that the graph does not have."""

    outputs: Annotated[tuple[str, ...], Meta(description="the tensors that come out, in this order", min_length=1)]

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The pruned graph; the preprocessing stays."""
        import onnx
        import onnx_graphsurgeon as gs

        known = tensor_names(model)
        for name in self.outputs:
            if name not in known:
                raise unknown("tensor", name, known)
        # an inner tensor needs a type to come out
        graph = gs.import_onnx(onnx.shape_inference.infer_shapes(model))
        tensors = graph.tensors()
        graph.outputs = [tensors[name] for name in self.outputs]
        graph.cleanup().toposort()
        return checked(gs.export_onnx(graph)), preprocess
