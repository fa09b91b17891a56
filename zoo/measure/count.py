"""What a network has to compute and to move: counted from its ONNX graph at a given input shape.

A multiplication with its addition is 2 floating-point operations (FLOPs); papers that count "MACs" or "GFLOPs" of
multiply-adds state half of it. Two counts of the same layers, because they answer different questions:

* `flops`: convolutions done directly, padding included: what everybody counts, and what a share of the roof is of;
* `fewest`: what the algorithms that runtimes use get down to: products with padding are left out, and a 3x3 convolution with
  stride 1 in floating point may be Winograd's F(4x4, 3x3), a quarter of the multiplications (Lavin and Gray, arXiv:1509.09308);
  what its transforms cost is not counted.

Bytes likewise: `traffic` is every tensor written once and read by each that needs it; of that a runtime which fuses layers,
or whose caches hold them, may spare all but `weights` (once a call), and the inputs and outputs, `edges`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from zoo.errors import StepFailed
from zoo.record import Record

if TYPE_CHECKING:
    import onnx

WINOGRAD = 4
#: Bytes of a number.
WIDTHS = {"fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1}
#: Products whose operands are 8-bit integers by the operator's own name, and the place of the second one among the inputs.
INTEGER = {
    "QLinearConv": 3, "QLinearConvTranspose": 3, "ConvInteger": 1, "QLinearMatMul": 3, "MatMulInteger": 1, "QGemm": 3,
}  # fmt: skip
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum")
#: Free: they move or rename, and compute nothing.
STILL = (
    "Constant", "Shape", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose", "Concat", "Split", "Slice", "Gather",
    "Cast", "Expand", "Pad", "QuantizeLinear", "DequantizeLinear", "DepthToSpace", "SpaceToDepth", "Tile", "ConstantOfShape",
)  # fmt: skip
#: Elements are renamed and stay where they are.
VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")

Shape = tuple[int, ...]


class Cost(Record, frozen=True, kw_only=True):
    """One call of a network."""

    batch: Annotated[int, Meta(description="images in the call: the first axis of the first input", ge=1)]
    flops: Annotated[dict[str, float], Meta(description="of convolutions and products, done directly, by the type of their operands")]
    fewest: Annotated[dict[str, float], Meta(description="of the same, what the algorithms in use get down to")]
    elementwise: Annotated[float, Meta(description="one operation for each element that anything else computes")]
    weights: Annotated[int, Meta(description="bytes of all constants")]
    edges: Annotated[int, Meta(description="bytes of inputs and outputs")]
    traffic: Annotated[int, Meta(description="bytes, were every tensor written to memory and read from there; all in all")]

    @property
    def total(self) -> float:
        """FLOPs of the call, of all types."""
        return sum(self.flops.values())

    def in_precision(self, precision: str) -> Cost:
        """What the same network would cost with all of its numbers in `precision`, and its fp32 was counted."""
        part = WIDTHS.get(precision, 4) / 4
        bytes_ = {name: round(getattr(self, name) * part) for name in ("weights", "edges", "traffic")}
        flops = {name: {precision: sum(getattr(self, name).values())} for name in ("flops", "fewest")}
        return msgspec.structs.replace(self, **bytes_, **flops)

    @property
    def gflops(self) -> float:
        """Thousand million FLOPs an image."""
        return self.total / self.batch / 1e9


def count(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> Cost:
    """The cost of one call with inputs of `shapes` (input name -> shape; the name "" stands for the only input).

    Sizes that stand in the graph are overruled: a convolutional network is counted at any size, however it was exported.
    Nodes inside If, Loop and Scan are not counted. Raises StepFailed where a size is not known then, or contradicts the graph."""
    graph = _Graph(_at(model, shapes))
    flops: defaultdict[str, float] = defaultdict(float)
    fewest: defaultdict[str, float] = defaultdict(float)
    elementwise = 0
    for node in graph.nodes:
        if node.op_type in HEAVY or node.op_type in INTEGER:
            kind = graph.computed_in(node)
            direct = _products(node, graph)
            flops[kind] += 2 * direct
            fewest[kind] += 2 * direct * _needed(node, graph, kind)
        elif node.op_type not in STILL:
            elementwise += sum(math.prod(graph.shape(name)) for name in node.output if name)
    first = graph.inputs[0]
    weights = sum(graph.bytes(name) for name in graph.constants)
    return Cost(
        batch=graph.shape(first)[0] if graph.shape(first) else 1,
        flops=dict(flops),
        fewest=dict(fewest),
        elementwise=elementwise,
        weights=weights,
        edges=sum(graph.bytes(name) for name in (*graph.inputs, *graph.outputs)),
        traffic=weights + graph.moved(),
    )


def _at(model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """A copy with its inputs at `shapes` and every size that follows from them."""
    import onnx

    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    constants = {tensor.name for tensor in sized.graph.initializer}
    fed = [value for value in sized.graph.input if value.name not in constants]
    if "" in shapes and len(fed) == 1:
        shapes = {fed[0].name: shapes[""]}
    for value in fed:
        dimensions = value.type.tensor_type.shape.dim
        wanted = shapes.get(value.name)
        if wanted is None and all(dimension.dim_value > 0 for dimension in dimensions):
            continue
        if wanted is None or len(wanted) != len(dimensions):
            given = "x".join(map(str, wanted)) if wanted else "unknown"
            raise StepFailed(
                f"the input {value.name!r} has {len(dimensions)} axes, and the shape is {given}",
                f"give a shape for each of {', '.join(value.name for value in fed)}",
            )
        for dimension, size in zip(dimensions, wanted, strict=True):
            dimension.dim_value = size
    del sized.graph.value_info[:]
    for value in sized.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        asked = ", ".join("x".join(map(str, shape)) for shape in shapes.values())
        why = str(error).splitlines()[0]
        raise StepFailed(
            f"the graph cannot be at {asked}: {why}", "ask for a size that its strides divide, or for the one that it was exported at"
        ) from error


class _Graph:
    """The shapes and types of a graph whose sizes are all known, and who writes and reads what."""

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnx

        graph = model.graph
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and (value := _attribute(node, "value", None)):
                tensors[node.output[0]] = value
        self._shapes: dict[str, Shape | None] = {}
        self._types: dict[str, int] = {}
        for value in (*graph.value_info, *graph.input, *graph.output):
            kind = value.type.tensor_type
            known = kind.HasField("shape") and all(dimension.HasField("dim_value") for dimension in kind.shape.dim)
            self._shapes[value.name] = tuple(dimension.dim_value for dimension in kind.shape.dim) if known else None
            self._types[value.name] = kind.elem_type
        for name, tensor in tensors.items():
            self._shapes[name], self._types[name] = tuple(tensor.dims), tensor.data_type
        self._source = {name: node for node in self.nodes for name in node.output}
        self._readers: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self.inputs = [value.name for value in graph.input if value.name not in tensors]
        self.outputs = [value.name for value in graph.output]
        self.constants = [name for name in tensors if name in self._readers]
        self._width = {kind: onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize for kind in set(self._types.values()) if kind}
        self._float = {
            onnx.TensorProto.FLOAT: "fp32",
            onnx.TensorProto.FLOAT16: "fp16",
            onnx.TensorProto.BFLOAT16: "bf16",
            onnx.TensorProto.DOUBLE: "fp64",
        }

    def shape(self, name: str) -> Shape:
        """The sizes of a tensor. Raises StepFailed where they do not follow from those of the inputs."""
        shape = self._shapes.get(name)
        if shape is None:
            raise StepFailed(f"the size of {name!r} does not follow from the input's", "simplify the graph at that size: the edit onnxsim")
        return shape

    def bytes(self, name: str) -> int:
        """A tensor as it lies in memory: 8 bits where all that is made of it is quantised."""
        readers = self._readers.get(name, ())
        edge = name in self.outputs or name in self.inputs
        small = bool(readers) and not edge and all(node.op_type == "QuantizeLinear" for node in readers)
        return math.prod(self.shape(name)) * (1 if small else self._width.get(self._types.get(name, 0), 4))

    def computed_in(self, node: Any) -> str:
        """What a product's operands are: the name of a precision."""
        if node.op_type in INTEGER:
            return "int8"
        if all(self._quantised(name) for name in node.input[:2]):
            return "int8"
        return self._float.get(self._types.get(node.input[0], 0), "fp32")

    def _quantised(self, name: str) -> bool:
        """Whether an operand is a dequantised tensor, maybe seen in another shape."""
        source = self._source.get(name)
        while source is not None and source.op_type in (*VIEWS, "Transpose"):
            source = self._source.get(source.input[0])
        return source is not None and source.op_type == "DequantizeLinear"

    def moved(self) -> int:
        """Bytes that are written and read, the constants aside; quantising is done where a tensor is made or used."""
        constants = set(self.constants)
        total = sum(self.bytes(name) for name in self.outputs)
        for node in self.nodes:
            if node.op_type in (*VIEWS, "QuantizeLinear", "DequantizeLinear", "Shape"):
                continue
            total += sum(self.bytes(self._stored(name)) for name in node.input if name and self._stored(name) not in constants)
            total += sum(self.bytes(name) for name in node.output if name and name not in self.outputs)
        return total

    def _stored(self, name: str) -> str:
        """The tensor that is really read where `name` is: what is dequantised lies in memory as it was before."""
        source = self._source.get(name)
        while source is not None and source.op_type in ("DequantizeLinear", *VIEWS):
            name = source.input[0]
            source = self._source.get(name)
        return name


def _products(node: Any, graph: _Graph) -> float:
    """Multiplications of one node, done directly."""
    kind = node.op_type
    data = graph.shape(node.input[0])
    out = math.prod(graph.shape(node.output[0]))
    if kind == "Einsum":
        terms = _attribute(node, "equation", b"").decode().replace(" ", "").partition("->")[0].split(",")
        operands = zip(terms, map(graph.shape, node.input), strict=True)
        sizes = {label: size for term, shape in operands for label, size in zip(term, shape, strict=True)}
        return math.prod(sizes.values()) if len(terms) > 1 else 0
    second = graph.shape(node.input[INTEGER.get(kind, 1)])
    if "ConvTranspose" in kind:
        return math.prod(data) * math.prod(second[1:])
    if "Conv" in kind:
        if data[1] != second[1] * _attribute(node, "group", 1):
            # ONNX's inference of shapes does not look at it
            raise StepFailed(f"{node.name or node.output[0]} is given {data[1]} channels", "ask for as many as the network takes")
        return out * math.prod(second[1:])
    return out * (data[-2] if kind in ("Gemm", "QGemm") and _attribute(node, "transA", 0) else data[-1])


def _needed(node: Any, graph: _Graph, kind: str) -> float:
    """The part of a node's products that the algorithms in use do not go without."""
    if node.op_type not in ("Conv", "QLinearConv", "ConvInteger"):
        return 1.0
    data, weight, out = graph.shape(node.input[0]), graph.shape(node.input[INTEGER.get(node.op_type, 1)]), graph.shape(node.output[0])
    axes = len(data) - 2
    kernel = weight[2:]
    strides = _attribute(node, "strides", [1] * axes)
    dilations = _attribute(node, "dilations", [1] * axes)
    if kind != "int8" and kernel == (3, 3) and set(strides) == set(dilations) == {1}:
        return 1 / WINOGRAD
    pads = _attribute(node, "pads", None)
    if pads is None:  # none, or placed by auto_pad so that the outer taps meet the border likewise
        spans = [(out[a + 2] - 1) * strides[a] + (kernel[a] - 1) * dilations[a] + 1 - data[a + 2] for a in range(axes)]
        pads = [max(0, span) // 2 for span in spans]
    part = 1.0
    for axis in range(axes):
        size, outs = data[axis + 2], out[axis + 2]
        # of each tap, from the first place at which it meets the image to the last
        starts = [pads[axis] - tap * dilations[axis] for tap in range(kernel[axis])]
        first = [max(0, -(-start // strides[axis])) for start in starts]
        last = [min(outs - 1, (start + size - 1) // strides[axis]) for start in starts]
        inside = sum(max(0, stop - begin + 1) for begin, stop in zip(first, last, strict=True))
        part *= inside / (outs * kernel[axis])
    return part


def _attribute(node: Any, name: str, default: Any) -> Any:
    import onnx

    return next((onnx.helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == name), default)
