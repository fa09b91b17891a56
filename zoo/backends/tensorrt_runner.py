"""An opened TensorRT engine. CUDA memory comes through Polygraphy's wrapper of the CUDA runtime."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.backends.folder import Shape, single
from zoo.backends.runner import Runner, TensorSpec, summary
from zoo.errors import StepFailed

#: Layers of an engine that do a network's work, by what the names of their types or kernels hold.
HEAVY = ("conv", "gemm", "matmul", "matrixmultiply", "fprop")
#: Words for types -> ours.
FORMATS = {
    "fp32": "fp32",
    "float": "fp32",
    "tf32": "tf32",
    "fp16": "fp16",
    "half": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "int8": "int8",
    "fp8": "fp8",
}


class TensorRtRunner(Runner):
    """An engine, an execution context, a stream, and memory on the device for each input and output."""

    def __init__(self, trt: Any, engine: Path, shape: Mapping[str, Shape] | None = None) -> None:
        from polygraphy.cuda import Stream

        # TensorRT keeps the logger it is given first and warns of every other
        self._trt, self._logger = trt, trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine.read_bytes())
        if self._engine is None:
            raise StepFailed(
                "TensorRT does not open the engine", "an engine opens on the kind of GPU and the version it was built with: build it again"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise StepFailed("TensorRT has no memory for the engine on this GPU", "build the target for a smaller `batch:` or `shape:`")
        self._stream = Stream()
        self._turn = threading.Lock()
        self._memory: dict[str, Any] = {}
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        fed = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        only = single(shape, tuple(fed))
        self.inputs = {name: self._spec(name, only.get(name)) for name in fed}
        self.outputs = {name: self._spec(name) for name in names if name not in fed}
        self._bounds = {name: self._engine.get_tensor_profile_shape(name, 0) for name in fed}

    @cached_property
    def computed_in(self) -> str:
        """Read with TensorRT's engine inspector."""
        inspector = self._engine.create_engine_inspector()
        return layers_compute_in(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def close(self) -> None:
        """Give back the device's memory and the engine."""
        for array in self._memory.values():
            array.free()
        self._memory.clear()
        self._stream.free()
        del self._context, self._engine, self._runtime

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with self._turn:  # the context's bindings are one call's
            return self._execute(feeds)

    def _execute(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        for name, array in feeds.items():
            least, _, greatest = (tuple(bound) for bound in self._bounds[name])
            if not all(low <= size <= high for low, size, high in zip(least, array.shape, greatest, strict=True)):
                raise StepFailed(
                    f"the engine takes {name!r} from {least} to {greatest} and was given {array.shape}", "build the target for that shape"
                )
            self._context.set_input_shape(name, array.shape)
            self._bind(name, array.shape, array.dtype).copy_from(np.ascontiguousarray(array), self._stream)
        for name, spec in self.outputs.items():
            self._bind(name, tuple(self._context.get_tensor_shape(name)), np.dtype(spec.dtype))
        if not self._context.execute_async_v3(self._stream.ptr):
            raise StepFailed("TensorRT stopped", f"fed {', '.join(f'{name} {array.shape}' for name, array in feeds.items())}")
        results = {name: self._memory[name].copy_to(self._empty(name), self._stream) for name in self.outputs}
        self._stream.synchronize()
        return results

    def _bind(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """Memory on the device for the tensor `name` at `shape`."""
        from polygraphy.cuda import DeviceArray

        if name not in self._memory:
            self._memory[name] = DeviceArray(shape=shape, dtype=dtype)
        self._memory[name].resize(shape)
        self._context.set_tensor_address(name, self._memory[name].ptr)
        return self._memory[name]

    def _empty(self, name: str) -> NDArray[Any]:
        return np.empty(self._memory[name].shape, np.dtype(self.outputs[name].dtype))

    def _spec(self, name: str, shape: Shape | None = None) -> TensorSpec:
        sizes = shape or self._engine.get_tensor_shape(name)
        return TensorSpec(
            tuple(None if size < 0 else int(size) for size in sizes), np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))).name
        )


def layers_compute_in(information: str) -> str:
    """What an engine computes in, from the inspector's JSON (detailed verbosity): the type of what convolutions and products read.

    A tensor's type stands under `DataType` since TensorRT 11, within the words of `Format/Datatype` before."""
    counts: Counter[str] = Counter()
    for layer in json.loads(information)["Layers"]:
        # without detailed verbosity a layer is only its name
        if not isinstance(layer, dict):
            return "unknown (the engine was built without details)"
        # a fused layer's own type says nothing, the kernel that it runs does
        kind = " ".join(str(layer.get(key, "")) for key in ("LayerType", "ParameterType", "TacticName")).lower()
        if any(word in kind for word in HEAVY) and layer.get("Inputs"):
            first = layer["Inputs"][0]
            text = next((str(first[key]) for key in ("DataType", "Format/Datatype", "Format") if first.get(key)), "")
            words = text.lower().replace("-", " ").split()
            counts[next((FORMATS[word] for word in reversed(words) if word in FORMATS), "unknown")] += 1
    return summary(counts)
