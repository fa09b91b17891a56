"""Networks that are published as an ONNX file: the graph is the network, and its weights are in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo.errors import StepFailed
from zoo.record import Choice

if TYPE_CHECKING:
    import onnx


class OnnxReader(Choice, frozen=True, tag="onnx"):
    """Takes an ONNX file as it is, for `model: {type: onnx}`."""

    file: Annotated[str, Meta(description="name of the .onnx among the source's files")]

    def read(self, folder: Path) -> onnx.ModelProto:
        """The graph in `folder / file`. Raises StepFailed where it cannot be read as one."""
        import onnx
        from google.protobuf.message import DecodeError

        try:
            model = onnx.load(folder / self.file)
        except (DecodeError, OSError, onnx.checker.ValidationError) as error:
            raise StepFailed(f"{self.file}: cannot be read as an ONNX file: {error}", "is the download complete?") from error
        # protobuf takes an empty file, and many others, for a message that says nothing
        if not model.graph.node:
            raise StepFailed(f"{self.file}: there is no graph in it", "is it an ONNX file, and the download complete?")
        return model
