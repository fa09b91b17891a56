"""The runtimes that a target may name.

Each has `compile(model_dir, out, *, precision, shapes, context)`, `open(folder, *, threads, shape=None) -> Runner`,
`available()` (empty, or what is missing), `scheme` (the INT8 it wants in the graph), `gpu` (whether what it builds is for
the GPU at hand), `runs` (whether it can run what it builds) and `tools` (the distributions whose versions change what
comes out).
"""

from zoo.backends.onnxruntime import OnnxRuntime
from zoo.backends.openvino import OpenVino
from zoo.backends.tensorrt import TensorRt
from zoo.backends.tensorrt_rtx import TensorRtRtx

Backend = OnnxRuntime | OpenVino | TensorRt | TensorRtRtx

__all__ = ["Backend", "OnnxRuntime", "OpenVino", "TensorRt", "TensorRtRtx"]
