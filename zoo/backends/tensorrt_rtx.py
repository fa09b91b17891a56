"""TensorRT-RTX: builds engines on any machine, for GPUs that need not be there."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from zoo.backends.folder import MODEL, Compiled, Shape, Shapes, publish, read_model, require_precision
from zoo.backends.runner import Runner
from zoo.backends.tensorrt import ENGINE, build_engine, full_shapes
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.optional import require
from zoo.record import Choice

Capability = Annotated[str, Meta(pattern=r"^\d+\.\d$")]


class TensorRtRtx(Choice, frozen=True, kw_only=True, tag="tensorrt_rtx"):
    """TensorRT-RTX: proof that a graph parses and builds in TensorRT. Its engines are not run."""

    scheme: ClassVar[Literal["u8s8", "s8s8"]] = "s8s8"
    gpu: ClassVar[bool] = False
    runs: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ("onnx", "tensorrt-rtx-cu13")
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")

    compute_capabilities: Annotated[
        tuple[Capability, ...], Meta(description="compute capabilities of the GPUs that the engine is for", min_length=1)
    ] = ("8.6", "8.9")

    def available(self) -> str:
        """What is missing, or empty."""
        return "" if importlib.util.find_spec("tensorrt_rtx") else "pip install 'pose-zoo[tensorrt-rtx]'"

    def compile(self, model_dir: Path, out: Path, *, precision: str, shapes: Shapes, context: Context) -> None:
        """Write model.engine and the records to the folder `out`. Raises StepFailed, and MissingTool without TensorRT-RTX."""
        trt = require("tensorrt_rtx")
        model = read_model(model_dir)
        require_precision(model, precision, self.precisions, "TensorRT-RTX")
        known = trt.ComputeCapability.__members__
        wanted = [f"SM{text.replace('.', '')}" for text in self.compute_capabilities]
        for text, name in zip(self.compute_capabilities, wanted, strict=True):
            if name not in known:
                raise StepFailed(f"TensorRT-RTX does not build for compute capability {text}", f"it builds for {', '.join(known)}")

        def configure(config: Any) -> None:
            config.num_compute_capabilities = len(wanted)
            for index, name in enumerate(wanted):
                config.set_compute_capability(known[name], index)

        (out / ENGINE).write_bytes(build_engine(trt, model_dir / MODEL, full_shapes(model, shapes), configure))
        names = tuple(value.name for value in model.graph.output)
        publish(model_dir, out, Compiled(backend="tensorrt_rtx", precision=precision, outputs=names))

    def open(self, folder: Path, *, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None) -> Runner:
        """Always StepFailed: such a row says "built with TensorRT-RTX, not run"."""
        raise StepFailed("TensorRT-RTX engines are built here and not run", "the target `tensorrt` runs, on a machine with a GPU")
