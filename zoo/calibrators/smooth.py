"""Channels made alike before they share a range: 8 bits for a tensor whose channels differ by a factor of a thousand hold
the largest and lose the rest.

A convolution's output channel may be divided by any positive factor if every convolution that reads it is multiplied by it;
ReLU, max pooling and concatenation let the factor through. Factors are chosen from the ranges that real images give: all of
it where each reader keeps a scale for each of its inputs (depthwise), and a part of it, `strength`, where a reader has one
scale for all of them. Sources: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019
(the invariance); Xiao et al., "SmoothQuant", 2023 (the split between activation and weight).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.calibrators.collect import Feeds
from zoo.context import Context

if TYPE_CHECKING:
    import onnx

#: Operators that let a positive factor for each channel through.
HOMOGENEOUS = ("Relu", "Identity", "MaxPool")
#: Channels under this part of the tensor's largest are dead: their factor would be noise.
DEAD = 1e-6


class Reader(NamedTuple):
    """A convolution that reads the channels of another from place `offset` of its input on."""

    node: Any
    offset: int


class Edge(NamedTuple):
    """A convolution whose channels may be scaled, and all that reads them."""

    node: Any
    channels: int
    rectified: bool
    readers: tuple[Reader, ...]


def smooth(model: onnx.ModelProto, feeds: Iterable[Feeds], strength: float, context: Context) -> onnx.ModelProto:
    """A graph that computes what `model` computes, up to float rounding, with channels whose ranges are alike.

    `feeds`: one image each. Convolutions whose output leaves the graph, or is read by anything else, stay as they are."""
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.float64) for tensor in result.graph.initializer}
    edges = _edges(result.graph, weights)
    if not edges:
        return result
    ranges = _ranges(model, edges, feeds, context)
    for edge in edges:
        _scale(edge, _factors(edge, ranges[edge.node.output[0]], weights, strength), weights)
    changed = {name for edge in edges for name in edge.node.input[1:]} | {r.node.input[1] for edge in edges for r in edge.readers}
    for tensor in result.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    return result


def _edges(graph: onnx.GraphProto, weights: dict[str, NDArray[np.float64]]) -> list[Edge]:
    """Every convolution that may be scaled, in the graph's order."""
    consumers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)
    outputs = {value.name for value in graph.output}
    sizes = {node.output[0]: len(weights[node.input[1]]) for node in graph.node if node.op_type == "Conv" and node.input[1] in weights}
    for node in graph.node:  # in topological order, so that what is joined is known before it is joined again
        if node.op_type in HOMOGENEOUS and node.input[0] in sizes:
            sizes[node.output[0]] = sizes[node.input[0]]
        elif node.op_type == "Concat" and _attribute(node, "axis", 0) == 1 and all(name in sizes for name in node.input):
            sizes[node.output[0]] = sum(sizes[name] for name in node.input)
    alone = {name for name in weights if len(consumers[name]) == 1}

    def readers(name: str, offset: int) -> list[Reader] | None:
        """All that reads the tensor; None where that is not convolutions alone."""
        if name in outputs or not consumers[name]:
            return None
        found: list[Reader] = []
        for node in consumers[name]:
            if node.op_type == "Conv" and node.input[0] == name and node.input[1] in alone and _simple(node, weights):
                found.append(Reader(node, offset))
                continue
            if node.op_type in HOMOGENEOUS:
                further = readers(node.output[0], offset)
            elif (
                node.op_type == "Concat"
                and _attribute(node, "axis", 0) == 1
                and node.output[0] in sizes
                and list(node.input).count(name) == 1
            ):
                before = list(node.input)[: list(node.input).index(name)]
                further = readers(node.output[0], offset + sum(sizes[other] for other in before))
            else:
                further = None
            if further is None:
                return None
            found += further
        return found

    edges = []
    for node in graph.node:
        if node.op_type == "Conv" and set(node.input[1:]) <= alone and (found := readers(node.output[0], 0)):
            rectified = all(reader.op_type == "Relu" for reader in consumers[node.output[0]])
            edges.append(Edge(node, sizes[node.output[0]], rectified, tuple(found)))
    return edges


def _ranges(model: onnx.ModelProto, edges: list[Edge], feeds: Iterable[Feeds], context: Context) -> dict[str, NDArray[np.float64]]:
    """Convolution's output -> the largest value of each channel that its readers see, over all feeds."""
    import onnx
    import onnxruntime

    inner = onnx.ModelProto()
    inner.CopyFrom(model)
    del inner.graph.output[:]
    # the maxima are taken inside, so that no image's activations have to be held
    for edge in edges:
        name = edge.node.output[0]
        inner.graph.node.append(onnx.helper.make_node("Relu" if edge.rectified else "Abs", [name], [f"{name}:size"]))
        inner.graph.node.append(onnx.helper.make_node("GlobalMaxPool", [f"{name}:size"], [f"{name}:largest"]))
        inner.graph.output.append(onnx.helper.make_tensor_value_info(f"{name}:largest", onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = context.threads
    options.log_severity_level = 4
    # images of many sizes: an arena keeps the blocks of each
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(inner.SerializeToString(), options, providers=["CPUExecutionProvider"])
    seen = {edge.node.output[0]: np.zeros(edge.channels) for edge in edges}
    for count, feed in enumerate(feeds, 1):
        context.report("ranges of channels", count, None, "images")
        for name, values in zip(seen, session.run(None, dict(feed)), strict=True):
            seen[name] = np.maximum(seen[name], values.max(axis=0).ravel())
    return seen


def _factors(edge: Edge, largest: NDArray[np.float64], weights: dict[str, NDArray[np.float64]], strength: float) -> NDArray[np.float64]:
    """What each channel is divided by."""
    read = np.zeros(edge.channels)
    for node, offset in edge.readers:
        if not _depthwise(node, weights):
            size = np.abs(weights[node.input[1]]).max(axis=(0, *range(2, weights[node.input[1]].ndim)))
            read = np.maximum(read, size[offset : offset + edge.channels])
    factors = np.ones(edge.channels)
    alive = largest > DEAD * largest.max()
    if read.any():
        alive &= read > DEAD * read.max()
        factors[alive] = largest[alive] ** strength / read[alive] ** (1 - strength)
    else:
        factors[alive] = largest[alive]
    return factors


def _scale(edge: Edge, factors: NDArray[np.float64], weights: dict[str, NDArray[np.float64]]) -> None:
    """Divide the channels, multiply what reads them."""
    for name in edge.node.input[1:]:
        weights[name] = weights[name] / factors.reshape(-1, *[1] * (weights[name].ndim - 1))
    for node, offset in edge.readers:
        weight = weights[node.input[1]].copy()
        place = slice(offset, offset + edge.channels)
        if _depthwise(node, weights):
            weight[place] *= factors.reshape(-1, *[1] * (weight.ndim - 1))
        else:
            weight[:, place] *= factors.reshape(1, -1, *[1] * (weight.ndim - 2))
        weights[node.input[1]] = weight


def _depthwise(node: Any, weights: dict[str, NDArray[np.float64]]) -> bool:
    """One input channel for each output channel: a scale for each output is a scale for each input."""
    groups = _attribute(node, "group", 1)
    return groups == len(weights[node.input[1]]) and weights[node.input[1]].shape[1] == 1 and groups > 1


def _simple(node: Any, weights: dict[str, NDArray[np.float64]]) -> bool:
    """Whether one of the two rules holds: each input is read by all outputs, or by its own alone."""
    return node.input[1] in weights and (_attribute(node, "group", 1) == 1 or _depthwise(node, weights))


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)
