"""onnxsim's simplification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.edits.graph import checked
from zoo.errors import StepFailed
from zoo.pose.preprocess import Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class OnnxSim(Choice, frozen=True, kw_only=True, tag="onnxsim"):
    """Let onnxsim simplify the graph: constants are folded, shape arithmetic and identities go, batch norms are fused.

    Inputs, outputs and their names stay, dynamic dimensions too. Raises StepFailed where onnxsim gives up."""

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The simplified graph; the preprocessing stays."""
        import onnxsim

        try:
            simple, well = onnxsim.simplify(model)
        except Exception as error:  # what onnxsim's C++ throws has no common base
            raise StepFailed(f"onnxsim does not simplify this graph: {error}", "leave `{type: onnxsim}` out of the edits") from error
        if not well:
            raise StepFailed("onnxsim says that its result computes something else", "leave `{type: onnxsim}` out of the edits")
        return checked(simple), preprocess
