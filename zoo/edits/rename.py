"""Other names for tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo.edits.graph import checked, tensor_names, unknown
from zoo.errors import StepFailed
from zoo.pose.preprocess import Preprocess
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class Rename(Choice, frozen=True, kw_only=True, tag="rename"):
    """Give tensors (inputs and outputs, most often) other names. All at once, so two may swap theirs.

    StepFailed names a tensor that the graph does not have, and a new name that another tensor bears already."""

    names: Annotated[dict[str, str], Meta(description="old name -> new name", min_length=1)]

    def apply(self, model: onnx.ModelProto, preprocess: Preprocess) -> tuple[onnx.ModelProto, Preprocess]:
        """The renamed graph; the preprocessing stays."""
        import onnx

        known = tensor_names(model)
        for old in self.names:
            if old not in known:
                raise unknown("tensor", old, known)
        taken = {tensor.name for tensor in model.graph.initializer} | set(known) - set(self.names)
        seen: set[str] = set()
        for old, new in self.names.items():
            if new in taken or new in seen:
                raise StepFailed(
                    f"{old!r} cannot be renamed {new!r}: another tensor has that name", "rename that one too, or choose another name"
                )
            seen.add(new)
        result = onnx.ModelProto()
        result.CopyFrom(model)
        graph = result.graph
        for node in graph.node:
            node.input[:] = [self.names.get(name, name) for name in node.input]
            node.output[:] = [self.names.get(name, name) for name in node.output]
        for value in (*graph.input, *graph.output, *graph.value_info):
            value.name = self.names.get(value.name, value.name)
        return checked(result), preprocess
