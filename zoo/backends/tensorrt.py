"""TensorRT 11 on an NVIDIA GPU.

Its networks are strongly typed: an engine computes in what the graph says, so float16 and INT8 (`s8s8`: signed,
symmetric, float biases) are written into the graph by the steps before. There are no builder flags for them.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from zoo.backends.folder import MODEL, Compiled, Shape, Shapes, input_names, publish, read_model, require_precision
from zoo.backends.runner import Runner
from zoo.context import Context
from zoo.errors import MissingTool, StepFailed
from zoo.optional import require
from zoo.record import Choice

ENGINE = "model.engine"
DRIVER = "an NVIDIA GPU and its driver (libcuda.so.1 is not found)"


class TensorRt(Choice, frozen=True, kw_only=True, tag="tensorrt"):
    """TensorRT: an engine for the GPU that it is built on, for input shapes within one profile."""

    scheme: ClassVar[Literal["u8s8", "s8s8"]] = "s8s8"
    gpu: ClassVar[bool] = True
    runs: ClassVar[bool] = True
    tools: ClassVar[tuple[str, ...]] = ("onnx", "tensorrt")
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")

    level: Annotated[int, Meta(description="how long the builder searches: 0 the least, 5 the most", ge=0, le=5)] = 3
    workspace: Annotated[int, Meta(description="memory that a layer may use while it runs, in MiB", ge=1)] = 2048
    tf32: Annotated[bool, Meta(description="let float32 products be rounded to 10 bits of fraction first")] = False

    def available(self) -> str:
        """What is missing, or empty."""
        if importlib.util.find_spec("tensorrt") is None:
            return "pip install 'pose-zoo[tensorrt]'"
        return "" if has_driver() else DRIVER

    def compile(self, model_dir: Path, out: Path, *, precision: str, shapes: Shapes, context: Context) -> None:
        """Write model.engine and the records to the folder `out`. Raises StepFailed, and MissingTool without TensorRT or GPU."""
        trt = require("tensorrt")
        if not has_driver():
            raise MissingTool(
                f"TensorRT builds on the GPU that it builds for: this machine lacks {DRIVER}", "build this target on a machine with one"
            )
        model = read_model(model_dir)
        require_precision(model, precision, self.precisions, "TensorRT")

        def configure(config: Any) -> None:
            config.builder_optimization_level = self.level
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self.workspace << 20)
            if not self.tf32:
                config.clear_flag(trt.BuilderFlag.TF32)

        (out / ENGINE).write_bytes(build_engine(trt, model_dir / MODEL, full_shapes(model, shapes), configure))
        names = tuple(value.name for value in model.graph.output)
        publish(model_dir, out, Compiled(backend="tensorrt", precision=precision, outputs=names))

    def open(self, folder: Path, *, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None) -> Runner:
        """Open model.engine on the GPU; `threads` change nothing there, and calls take turns whatever the `streams`.

        Raises StepFailed, and MissingTool without TensorRT or GPU."""
        from zoo.backends.tensorrt_runner import TensorRtRunner

        trt = require("tensorrt")
        if not has_driver():
            raise MissingTool(
                f"an engine runs on the GPU that it was built for: this machine lacks {DRIVER}", "run this target on a machine with one"
            )
        return TensorRtRunner(trt, folder / ENGINE, shape)


def has_driver() -> bool:
    """Whether the CUDA driver can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def full_shapes(model: Any, shapes: Shapes) -> dict[str, tuple[Shape, Shape, Shape]]:
    """`shapes` for every input: those of fixed size need none given. Raises StepFailed where a free axis has no bounds."""
    names = input_names(model)
    for name in shapes:
        if name not in names:
            raise StepFailed(f"shapes are given for {name!r}, which is no input", f"the graph's inputs: {', '.join(names)}")
    found = dict(shapes)
    for value in model.graph.input:
        if value.name in names and value.name not in found:
            dimensions = value.type.tensor_type.shape.dim
            if not all(dimension.HasField("dim_value") for dimension in dimensions):
                raise StepFailed(f"TensorRT wants the least and the greatest size of {value.name!r}", "give the target a shape")
            size = tuple(dimension.dim_value for dimension in dimensions)
            found[value.name] = (size, size, size)
    return found


def build_engine(trt: Any, model: Path, shapes: Shapes, configure: Callable[[Any], None]) -> bytes:
    """The serialised engine of an ONNX file, with one profile of `shapes`.

    `trt` is the module `tensorrt` or `tensorrt_rtx`: they have one interface. Raises StepFailed with what the
    parser or the builder said."""
    heard: list[str] = []

    class Listener(trt.ILogger):  # type: ignore[misc]  # TensorRT has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                heard.append(message)

    listener = Listener()
    builder = trt.Builder(listener)
    if builder is None:
        raise StepFailed(f"TensorRT has no builder here: {_last(heard)}")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, listener)
    if not parser.parse_from_file(str(model)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise StepFailed(f"TensorRT does not read the graph: {_last(errors or heard)}", "INT8 for TensorRT is the scheme s8s8")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the engine can say what it computes in
    configure(config)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        least, usual, greatest = shapes[tensor.name]
        profile.set_shape(tensor.name, least, usual, greatest)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise StepFailed(f"TensorRT does not build the engine: {_last(heard)}", "do the shapes suit the network?")
    return bytes(plan)


def _last(messages: list[str]) -> str:
    return messages[-1].strip() if messages else "it does not say why"
