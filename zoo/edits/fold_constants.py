"""Constant folding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.edits.graph import checked
from zoo.pose.preprocess import Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class FoldConstants(Choice, frozen=True, kw_only=True, tag="fold_constants"):
    """Compute what depends on no input, once; remove the nodes that nothing reads any more (onnx-graphsurgeon).

    Inputs, outputs and their names stay, dynamic dimensions too."""

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The folded graph; the preprocessing stays."""
        import onnx_graphsurgeon as gs

        graph = gs.import_onnx(model)
        graph.fold_constants().cleanup().toposort()
        return checked(gs.export_onnx(graph)), preprocess
