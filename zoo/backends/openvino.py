"""OpenVINO on the CPU."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.backends.folder import (
    MODEL,
    Compiled,
    Shape,
    Shapes,
    fixed_axes,
    input_names,
    publish,
    read_model,
    read_record,
    require_precision,
    single,
)
from zoo.backends.runner import PRECISIONS, Runner, TensorSpec, summary
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.optional import require
from zoo.record import Choice

IR = "model.xml"
#: Our precision -> INFERENCE_PRECISION_HINT. It is always given: left to itself OpenVINO takes bf16 where the
#: CPU has it. With INT8 it is what the rest of the network computes in.
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
#: Layers of the executed graph that do a network's work.
HEAVY = ("Convolution", "Deconvolution", "GroupConvolution", "FullyConnected", "MatMul")
COUNTED = re.compile(r"[A-Z][A-Za-z0-9]*_\d+")


class OpenVino(Choice, frozen=True, kw_only=True, tag="openvino"):
    """OpenVINO's CPU plugin. What is compiled is the IR (model.xml, model.bin) in the graph's own precision."""

    scheme: ClassVar[Literal["u8s8", "s8s8"]] = "u8s8"
    gpu: ClassVar[bool] = False
    runs: ClassVar[bool] = True
    tools: ClassVar[tuple[str, ...]] = ("onnx", "openvino")
    precisions: ClassVar[tuple[str, ...]] = tuple(HINTS)

    def available(self) -> str:
        """What is missing, or empty."""
        return "" if importlib.util.find_spec("openvino") else "pip install 'pose-zoo[openvino]'"

    def compile(self, model_dir: Path, out: Path, *, precision: str, shapes: Shapes, context: Context) -> None:
        """Write model.xml, model.bin (axes fixed where `shapes` leaves no choice) and the records to the folder `out`.

        Raises StepFailed, and MissingTool where OpenVINO is not installed."""
        ov = require("openvino")
        graph = read_model(model_dir)
        require_precision(graph, precision, self.precisions, "OpenVINO")
        axes = fixed_axes(shapes, input_names(graph))
        try:
            model = ov.Core().read_model(model_dir / MODEL)
            _reshape(ov, model, axes)
            _name_nodes(model)
        except RuntimeError as error:
            raise StepFailed(
                f"OpenVINO does not convert the graph: {_first(error)}", "does it have the shapes that the target asks for?"
            ) from error
        try:
            ov.save_model(model, out / IR, compress_to_fp16=False)
        except RuntimeError as error:
            raise StepFailed(f"OpenVINO cannot write the model: {_first(error)}", "is the disk full?") from error
        names = tuple(value.name for value in graph.graph.output)
        publish(model_dir, out, Compiled(backend="openvino", precision=precision, outputs=names))

    def open(self, folder: Path, *, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None) -> Runner:
        """Open the IR in the precision that it was compiled for, for one input `shape` only where given. `streams` calls at once
        share the `threads`.

        Raises StepFailed, and MissingTool where OpenVINO is not installed."""
        return OpenVinoRunner(folder, threads, streams, shape)


class OpenVinoRunner(Runner):
    """A model that OpenVINO compiled for this machine."""

    def __init__(self, folder: Path, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None) -> None:
        ov = require("openvino")
        record = read_record(folder)
        if record.precision not in HINTS:
            raise StepFailed(f"{folder.name} was compiled for {record.precision} by {record.backend}", "build it for OpenVINO")
        properties = {
            "INFERENCE_PRECISION_HINT": HINTS[record.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        }
        try:
            core = ov.Core()
            model = core.read_model(folder / IR)
            _reshape(ov, model, single(shape, tuple(port.get_any_name() for port in model.inputs)))
            self._compiled = core.compile_model(model, "CPU", properties)
        except RuntimeError as error:
            raise StepFailed(
                f"OpenVINO does not open the model: {_first(error)}", "build it again, with this version of OpenVINO"
            ) from error
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._compiled.create_infer_request())
        self._ports = {name: self._compiled.output(name) for name in record.outputs}
        self.inputs = {port.get_any_name(): _spec(port) for port in self._compiled.inputs}
        self.outputs = {name: _spec(port) for name, port in self._ports.items()}

    @cached_property
    def computed_in(self) -> str:
        """Read from the graph as the CPU plugin executes it."""
        counts: Counter[str] = Counter()
        for node in self._compiled.get_runtime_model().get_ops():
            info = node.get_rt_info()
            if "layerType" in info and str(info["layerType"].astype(str)) in HEAVY:
                name = str(info["runtimePrecision"].astype(str)).lower()
                counts[PRECISIONS.get(name, name)] += 1
        return summary(counts)

    def close(self) -> None:
        """Give the compiled model back."""
        del self._requests, self._ports, self._compiled

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        request = self._requests.get()
        try:
            results = request.infer(dict(feeds), share_inputs=True, share_outputs=True)
            # the request's own memory is written again by the next call
            return {name: np.array(results[port]) for name, port in self._ports.items()}
        except RuntimeError as error:
            given = ", ".join(f"{name} {array.shape}" for name, array in feeds.items())
            raise StepFailed(f"OpenVINO stopped: {_first(error)}", f"fed {given}") from error
        finally:
            self._requests.put(request)


def _reshape(ov: Any, model: Any, axes: Mapping[str, tuple[int | None, ...]]) -> None:
    wanted = {}
    for port in model.inputs:
        for name in port.get_names() & set(axes):
            old = port.get_partial_shape()
            if len(old) != len(axes[name]):
                raise StepFailed(f"the input {name!r} has {len(old)} axes, the shape asked for has {len(axes[name])}")
            for axis, (dimension, size) in enumerate(zip(old, axes[name], strict=True)):
                if size is not None and dimension.is_static and dimension.get_length() != size:
                    raise StepFailed(
                        f"axis {axis} of the input {name!r} is {dimension.get_length()} in the model and cannot be {size}",
                        "export it with that axis dynamic, or ask for the size that it has",
                    )
            wanted[name] = ov.PartialShape(
                [dimension if size is None else ov.Dimension(size) for dimension, size in zip(old, axes[name], strict=True)]
            )
    if wanted:
        model.reshape(wanted)


def _name_nodes(model: Any) -> None:
    """Name by their place the nodes that have no name of their own: OpenVINO counts on through a process, and files would differ.

    What it folds into a constant keeps the counted name of what was there (ShapeOf_13)."""
    for place, node in enumerate(model.get_ordered_ops()):
        name = node.get_friendly_name()
        if name == node.get_name() or COUNTED.fullmatch(name):
            node.set_friendly_name(f"{node.get_type_name()}:{place}")


def _spec(port: Any) -> TensorSpec:
    sizes = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return TensorSpec(sizes, np.dtype(port.get_element_type().to_dtype()).name)


def _first(error: Exception) -> str:
    """The line of OpenVINO's long message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith(("Exception from", "at ", "Check '"))), lines[-1] if lines else "")
