"""INT8: quantise and dequantise nodes written into a float graph, with ranges from real images."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from msgspec import Meta

from zoo.calibrators import Calibrator
from zoo.calibrators.collect import Feeds, collect
from zoo.calibrators.histogram import Histogram
from zoo.calibrators.minmax import MinMax
from zoo.context import Context
from zoo.errors import StepFailed
from zoo.record import Record

if TYPE_CHECKING:
    import onnx

Scheme = Literal["u8s8", "s8s8"]
#: What TensorRT quantises by its inputs; the ops between follow by themselves.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")


class Quantized(Record, frozen=True, kw_only=True):
    """What `quantize` did."""

    images: Annotated[int, Meta(description="how many images the ranges are from; 0 where `seen` was given")]
    tensors: Annotated[int, Meta(description="activations whose range was measured")]
    kept: Annotated[tuple[str, ...], Meta(description="nodes that were left in float")]


def quantize(
    model: Path,
    out: Path,
    feeds: Iterable[Feeds],
    *,
    calibrator: Calibrator,
    scheme: Scheme,
    keep: Sequence[str] = (),
    per_channel: bool = True,
    reduce_range: bool = False,
    seen: Mapping[str, Histogram] | None = None,
    context: Context,
) -> Quantized:
    """Write to the file `out` the ONNX file `model` in INT8, calibrated on `feeds` (input name -> array, one image each).

    1. `u8s8` (ONNX Runtime, OpenVINO): activations unsigned and asymmetric, weights signed; everything that
       ONNX Runtime computes in INT8 is quantised, inputs and outputs.
    2. `s8s8` (TensorRT): both signed and symmetric, float biases; the inputs of convolutions and matrix
       products are quantised and not their outputs, so that a ReLU after them is fused.
    3. Ranges of the input of a ReLU or Clip are those of its output: what it cuts off needs no levels.
    4. Nodes of `keep` (names, or globs as of fnmatch) stay in float. A tensor between one of them and a
       quantised node is quantised still: what can be kept in float is groups of nodes.
    5. Outputs of the graph keep all that was seen, whatever the method.
    6. `reduce_range`: weights in 7 bits, for x86 without VNNI, where the sum of two products saturates.
    7. `seen`: what `observe` found, instead of `feeds`: one look at the images serves many ways to quantise.

    Raises StepFailed: no node of `keep` matches, nothing to quantise, no images, nan or infinity."""
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData

    graph = _read(model)
    kept = _kept(graph, keep)
    if per_channel and next(opset.version for opset in graph.opset_import if opset.domain in ("", "ai.onnx")) < 13:
        raise StepFailed(
            "scales per channel came with opset 13, the graph is older", "export it with opset 17, or set `per_channel: false`"
        )
    ops = list(WEIGHTED) if scheme == "s8s8" else _quantizable()
    if not any(node.op_type in WEIGHTED and node.name not in kept for node in graph.graph.node):
        raise StepFailed("the graph has no convolution or matrix product to quantise", "is `keep:` wider than it should be?")
    tensors = _tensors(graph, ops, kept, inputs_only=scheme == "s8s8")
    aliases = _before_activation(graph, set(tensors)) if scheme == "u8s8" else {}
    wanted = [name for name in tensors if name not in aliases]
    images = 0
    if seen is None:
        seen, images = collect(graph, wanted, feeds, calibrator.bins, context)
    outputs = {value.name for value in graph.graph.output}
    # the peaks of a heatmap are so few that a method that weighs values would cut them off
    ranges = {name: _range(MinMax() if name in outputs else calibrator, seen[name]) for name in wanted}
    ranges.update({name: ranges[after] for name, after in aliases.items()})
    context.report("quantising")
    symmetric = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": list(WEIGHTED),
    }
    # to the quantiser every range is two numbers, whichever way they were found
    data = TensorsData(CalibrationMethod.MinMax, {name: TensorData(lowest=low, highest=high) for name, (low, high) in ranges.items()})
    with _quiet():
        quantizer = QDQQuantizer(
            graph,
            per_channel,
            reduce_range,
            QuantType.QInt8,
            QuantType.QInt8 if scheme == "s8s8" else QuantType.QUInt8,
            data,
            [],
            sorted(kept),
            ops,
            symmetric if scheme == "s8s8" else {},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    result = quantizer.model.model
    del result.metadata_props[:]
    result.metadata_props.extend(graph.metadata_props)
    out.write_bytes(result.SerializeToString(deterministic=True))
    return Quantized(images=images, tensors=len(wanted), kept=tuple(sorted(kept)))


def observe(model: Path, feeds: Iterable[Feeds], *, bins: int, context: Context) -> dict[str, Histogram]:
    """What every activation that any `quantize` of the file `model` could ask for holds over `feeds`: see `collect`."""
    graph = _read(model)
    return collect(graph, _tensors(graph, _quantizable(), set(), inputs_only=False), feeds, bins, context)[0]


def _read(model: Path) -> onnx.ModelProto:
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(model))
    _name_nodes(graph)
    return graph


def _range(calibrator: Calibrator, seen: Any) -> tuple[Any, Any]:
    low, high = calibrator.range(seen)
    return np.array(low, np.float32), np.array(high, np.float32)


def _quantizable() -> list[str]:
    """What ONNX Runtime's own quantisation takes by default."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    return sorted({*QDQRegistry, *QLinearOpsRegistry})


def _name_nodes(model: onnx.ModelProto) -> None:
    """A node without a name could not be kept: it is given its first output's."""
    for node in model.graph.node:
        node.name = node.name or f"{node.op_type}:{node.output[0]}"


def _kept(model: onnx.ModelProto, keep: Sequence[str]) -> set[str]:
    names = [node.name for node in model.graph.node]
    kept: set[str] = set()
    for pattern in keep:
        found = {pattern} & set(names) or set(fnmatch.filter(names, pattern))
        if not found:
            weighted = [node.name for node in model.graph.node if node.op_type in WEIGHTED]
            raise StepFailed(f"keep: no node is called {pattern!r}", f"nodes are called {', '.join(weighted[:5])}, ...")
        kept |= found
    return kept


def _tensors(model: onnx.ModelProto, ops: Sequence[str], kept: set[str], inputs_only: bool) -> list[str]:
    """The float activations that may get a range, in the graph's order."""
    from onnx import TensorProto

    constants = {tensor.name for tensor in model.graph.initializer}
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT} - constants
    found: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type in ops and node.name not in kept:
            # the weights' side of a convolution is never an activation
            names = [*node.input] if inputs_only else [*node.input, *node.output]
            found.update(dict.fromkeys(name for name in names if name in floats))
    return list(found)


def _before_activation(model: onnx.ModelProto, measured: set[str]) -> dict[str, str]:
    """Tensors that only a ReLU or a Clip reads -> what comes out of it, where that one is `measured`."""
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    found: dict[str, str] = {}
    # backwards, so that of two activations in a row the last one's range is taken
    for node in reversed(model.graph.node):
        if node.op_type in ACTIVATIONS and node.output[0] in measured:
            name = node.input[0]
            if len(readers[name]) == 1 and name not in outputs:
                found[name] = found.get(node.output[0], node.output[0])
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantiser advises through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
