"""The layers of a graph, by name, with weights as PyTorch lays them out.

A TensorFlow graph loses its constants' names on the way through OpenVINO's front end (layouts are changed, and what is
folded is named anew), but the results of operations keep theirs. So every operation is made an output before the
conversion, and a convolution is called what its output is called.

A TensorFlow Lite operation is several of TensorFlow's (a convolution, its bias, its activation), and the front end splits
it again; but constants that are stored in float16 are dequantised by operations of their own, which keep their names. So a
layer is called what its bias is called; one whose constants are float32 has only the number that OpenVINO gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.optional import require

Floats = NDArray[np.float32]


#: operations of OpenVINO that are a layer when they have a constant weight
LAYERS = ("Convolution", "GroupConvolution", "MatMul")


class Layer(NamedTuple):
    """A convolution, weight (out, in / groups, kh, kw), or a linear layer, weight (out, in); and the constant (out,) that is
    added to its result, if any."""

    weight: Floats
    bias: Floats | None


def layers(path: Path) -> dict[str, Layer]:
    """Name -> Layer of all convolutions, grouped ones included, and linear layers in a `.pb`, `.tflite` or `.xml`.

    Raises StepFailed where it cannot be opened, or where two layers have one name."""
    require("openvino")
    opened = {".pb": _tensorflow, ".tflite": _tflite}.get(path.suffix, _ir)
    binary = path.with_suffix(".bin")
    if opened is _ir and not binary.is_file():
        raise StepFailed(f"{path.name}: its weights {binary.name} are not beside it", "list both files in the source")
    try:
        model, names = opened(path)
    except Exception as error:  # the front ends' own exceptions have no base that is public
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise StepFailed(f"{path.name}: OpenVINO cannot open it: {reason}", "is the download complete?") from error
    found: dict[str, Layer] = {}
    for node in _layers(model):
        name = names[node.get_friendly_name()]
        if name in found:
            raise StepFailed(f"{path.name}: two layers are called {name}", "this reader knows layers by their names")
        found[name] = Layer(_weight(node), _bias(node))
    return found


def _layers(model: Any) -> Iterator[Any]:
    for node in model.get_ordered_ops():
        if node.get_type_name() in LAYERS and _is_constant(node.input_value(1).get_node()):
            yield node


def _weight(node: Any) -> Floats:
    weight = constant(node.input_value(1).get_node())
    if node.get_type_name() == "GroupConvolution":
        return weight.reshape(-1, *weight.shape[2:])
    if node.get_type_name() == "MatMul" and not node.get_attributes()["transpose_b"]:
        return np.ascontiguousarray(weight.T)
    return weight


def _ir(path: Path) -> tuple[Any, dict[str, str]]:
    openvino = require("openvino")

    model = openvino.Core().read_model(path)
    # a convolution that had a bias was split in two, and the bias kept the name
    return model, {name: name.removesuffix("/WithoutBiases") for name in (node.get_friendly_name() for node in model.get_ordered_ops())}


def _tensorflow(path: Path) -> tuple[Any, dict[str, str]]:
    from openvino.frontend import FrontEndManager

    front = FrontEndManager().load_by_framework("tf")
    graph = front.load(str(path))
    operations = [
        node.get_friendly_name() for node in front.decode(graph).get_ordered_ops() if node.inputs() and node.get_type_name() != "Result"
    ]
    graph = front.load(str(path))
    graph.override_all_outputs([graph.get_place_by_tensor_name(f"{name}:0") for name in operations])
    model = front.convert(graph)
    names = {}
    for result in model.results:
        node = result.input_value(0).get_node()
        while node.get_type_name() == "Transpose":
            node = node.input_value(0).get_node()
        names[node.get_friendly_name()] = result.get_friendly_name().removesuffix(":0")
    return model, names


def _tflite(path: Path) -> tuple[Any, dict[str, str]]:
    openvino = require("openvino")

    model = openvino.Core().read_model(path)
    names = {}
    for layer in _layers(model):
        node = _added(layer)
        while node is not None and not node.output(0).get_names() and node.inputs():
            node = node.input_value(0).get_node()
        given = min(node.output(0).get_names(), default="") if node is not None else ""
        # what TensorFlow Lite fused, it named by all that it fused: the layer's own name first
        names[layer.get_friendly_name()] = given.partition(";")[0].removesuffix("_dequantize") or layer.get_friendly_name()
    return model, names


def _bias(layer: Any) -> Floats | None:
    node = _added(layer)
    return None if node is None else constant(node).reshape(-1)


def _added(layer: Any) -> Any:
    """The constant that is added to what a layer gives, or None."""
    for port in layer.output(0).get_target_inputs():
        node = port.get_node()
        if node.get_type_name() == "Add":
            other = node.input_value(1 - port.get_index()).get_node()
            if _is_constant(other):
                return other
    return None


def _is_constant(node: Any) -> bool:
    inputs = [node.input_value(index).get_node() for index in range(node.get_input_size())]
    return node.get_type_name() == "Constant" or (bool(inputs) and all(_is_constant(other) for other in inputs))


def constant(node: Any) -> Floats:
    """The value of a subgraph of constants: what decompression or dequantisation would make at run time.

    Worked out in float32 and rounded once, to the type in which the graph declares it (an FP16 graph has FP16 weights).
    Raises StepFailed for an operation that is no part of either.
    """
    half = node.get_output_element_type(0).get_type_name() == "f16"
    value = _fold(node).astype(np.float16 if half else np.float32).astype(np.float32)
    return np.ascontiguousarray(value)


def _fold(node: Any) -> NDArray[Any]:
    kind = node.get_type_name()
    if kind == "Constant":
        return np.array(node.data)
    inputs = [_fold(node.input_value(index).get_node()) for index in range(node.get_input_size())]
    if kind in ("Reshape", "Unsqueeze"):
        return inputs[0].reshape([int(size) for size in node.get_output_shape(0)])
    if kind == "Transpose":
        return inputs[0].transpose([int(axis) for axis in inputs[1]])
    floats = [value.astype(np.float32) for value in inputs]
    if kind == "Convert":
        return floats[0]
    if kind == "Subtract":
        return floats[0] - floats[1]
    if kind == "Multiply":
        return floats[0] * floats[1]
    if kind == "FakeQuantize":
        return _fake_quantize(*floats, levels=int(node.get_attributes()["levels"]))
    raise StepFailed(f"the constant {node.get_friendly_name()} is made by {kind}, which this reader does not fold")


def _fake_quantize(value: Floats, low: Floats, high: Floats, out_low: Floats, out_high: Floats, *, levels: int) -> Floats:
    steps = np.rint((np.clip(value, low, high) - low) / (high - low) * np.float32(levels - 1))
    result: Floats = (steps / np.float32(levels - 1) * (out_high - out_low) + out_low).astype(np.float32)
    return result
