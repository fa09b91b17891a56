"""ONNX Runtime on the CPU."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.backends.folder import (
    MODEL,
    Compiled,
    Shape,
    Shapes,
    fix,
    fixed_axes,
    input_names,
    publish,
    read_model,
    require_precision,
    single,
)
from zoo.backends.runner import PRECISIONS, Runner, TensorSpec, summary
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.record import Choice

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
}
#: Operators of the optimised graph that do a network's work.
HEAVY = ("Conv", "ConvTranspose", "FusedConv", "NhwcFusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
INTEGER = ("QLinearConv", "QLinearConvTranspose", "QGemm", "QLinearMatMul", "ConvInteger", "ConvIntegerToFloat", "MatMulInteger",
           "MatMulIntegerToFloat", "DynamicQuantizeMatMul")  # fmt: skip


class OnnxRuntime(Choice, frozen=True, kw_only=True, tag="onnxruntime"):
    """ONNX Runtime's CPU provider. What is compiled is the graph itself: it is optimised when it is opened,
    for the machine that opens it."""

    scheme: ClassVar[Literal["u8s8", "s8s8"]] = "u8s8"
    gpu: ClassVar[bool] = False
    runs: ClassVar[bool] = True
    tools: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "int8")

    def available(self) -> str:
        """Empty: ONNX Runtime is always installed."""
        return ""

    def compile(self, model_dir: Path, out: Path, *, precision: str, shapes: Shapes, context: Context) -> None:
        """Write model.onnx (axes fixed where `shapes` leaves no choice) and the records to the folder `out`. Raises StepFailed."""
        model = read_model(model_dir)
        require_precision(model, precision, self.precisions, "ONNX Runtime")
        fix(model, fixed_axes(shapes, input_names(model)))
        (out / MODEL).write_bytes(model.SerializeToString(deterministic=True))
        names = tuple(value.name for value in model.graph.output)
        publish(model_dir, out, Compiled(backend="onnxruntime", precision=precision, outputs=names))

    def open(self, folder: Path, *, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None, file: str = MODEL) -> Runner:
        """Open the ONNX `file`, for one input `shape` only where given. Any folder that holds it will do. `streams` calls at once
        share the `threads`. Raises StepFailed."""
        return OnnxRuntimeRunner(folder, threads, streams, shape, file)


class OnnxRuntimeRunner(Runner):
    """An ONNX Runtime session. It serves several callers with one copy of the weights."""

    def __init__(self, folder: Path, threads: int, streams: int = 1, shape: Mapping[str, Shape] | None = None, file: str = MODEL) -> None:
        self._folder = folder
        self._file = file
        self._shape = shape
        self._threads = max(1, threads // streams)
        self._free = threading.BoundedSemaphore(streams)
        self._session = self._load(self._options())
        self.inputs = {value.name: _spec(value) for value in self._session.get_inputs()}
        self.outputs = {value.name: _spec(value) for value in self._session.get_outputs()}

    @cached_property
    def computed_in(self) -> str:
        """Read from the graph as ONNX Runtime optimised it for this machine."""
        import onnx

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "optimised.onnx"
            options = self._options()
            options.optimized_model_filepath = str(path)
            self._load(options)
            graph = onnx.load(path).graph
        constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
        values = (*graph.value_info, *graph.input, *graph.output)
        types = {**{value.name: value.type.tensor_type.elem_type for value in values}, **constants}
        # ONNX Runtime writes no types of inner tensors; what is dequantised has that of its scale
        dequantised = (node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[1] in constants)
        types |= {node.output[0]: constants[node.input[1]] for node in dequantised}
        counts: Counter[str] = Counter()
        for node in graph.node:
            if node.op_type in INTEGER:
                counts["int8"] += 1
            elif node.op_type in HEAVY:
                known = [types[name] for name in node.input if types.get(name)]
                name = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(known[0])).name if known else "unknown"
                counts[PRECISIONS.get(name, name)] += 1
        half = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in read_model(self._folder, self._file).graph.initializer)
        if half and "fp16" not in counts:
            return f"{summary(counts)} (a float16 file, cast)"
        return summary(counts)

    def close(self) -> None:
        """Give the session back."""
        del self._session

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            with self._free:
                return dict(zip(self.outputs, self._session.run(list(self.outputs), dict(feeds)), strict=True))
        except Exception as error:  # ONNX Runtime's own errors have no common base
            raise StepFailed(
                f"ONNX Runtime stopped: {error}", f"fed {', '.join(f'{name} {array.shape}' for name, array in feeds.items())}"
            ) from error

    def _options(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # It plans one block for each input shape that comes, and keeps those blocks: of images of sixteen sizes, two at a time, 0001
        # went from 111 to 150 MB, the more of them the surer. Calls take the same time without it, of one size too.
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        return options

    def _load(self, options: Any) -> Any:
        import onnxruntime

        path = self._folder / self._file
        source: str | bytes = str(path)
        if self._shape:
            model = read_model(self._folder, self._file)
            fix(model, single(self._shape, input_names(model)))
            source = model.SerializeToString()
        elif not path.is_file():
            raise StepFailed(f"there is no {self._file} in {self._folder.name}", "build it again: `zoo build --again`")
        try:
            return onnxruntime.InferenceSession(
                source,
                options,
                providers=["CPUExecutionProvider"],
                # quantises again what `keep` left in float (AP .012 instead of .37 on 0001)
                disabled_optimizers=["WeightBiasQuantization"],
            )
        except Exception as error:  # ONNX Runtime's own errors have no common base
            raise StepFailed(
                f"ONNX Runtime does not open the model: {error}", "build it again, with this version of ONNX Runtime"
            ) from error


def _spec(value: Any) -> TensorSpec:
    return TensorSpec(tuple(size if isinstance(size, int) else None for size in value.shape), TYPES.get(value.type, value.type))
