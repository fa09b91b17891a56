"""Half precision, written into the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.edits.graph import checked
from zoo.errors import StepFailed

if TYPE_CHECKING:
    import onnx

#: Operators whose squares would end at 65504: what is greater than 256 has none in float16.
SQUARING = ("ReduceL2", "ReduceSumSquare")
#: Inputs that stay float32: ONNX wants them so whatever the data's type is, or they are squared.
FLOAT32_INPUTS = {
    **{"Resize": (1, 2), "Upsample": (1,), "QuantizeLinear": (1,), "DequantizeLinear": (1,)},
    **dict.fromkeys(SQUARING, (0,)),
}


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with its float32 constants and arithmetic in float16; the given one stays as it was.

    1. Inputs and outputs of the graph keep their names and stay float32: a Cast stands at each end.
    2. An output that is also read inside (the stages of OpenPose) is cast for the outside only.
    3. What ONNX wants in float32 (a Resize's scales) stays float32.
    4. Sums of squares are computed in float32, and their result is cast to float16.
    5. StepFailed where a constant is too large for float16 (over 65504), where there are subgraphs (If, Loop),
       and where the graph is quantised."""
    import onnx
    import onnx_graphsurgeon as gs

    graph = gs.import_onnx(onnx.shape_inference.infer_shapes(model))
    _refuse(graph)
    floats = [tensor for tensor in graph.tensors().values() if tensor.dtype == np.float32]
    inputs = [tensor for tensor in graph.inputs if tensor.dtype == np.float32]
    outputs = [tensor for tensor in graph.outputs if tensor.dtype == np.float32]
    original = list(graph.nodes)

    exact: dict[int, Any] = {}
    for node in original:
        for position in FLOAT32_INPUTS.get(node.op, ()):
            if position < len(node.inputs) and node.inputs[position].dtype == np.float32:
                node.inputs[position] = _exact(graph, node.inputs[position], exact)
        # a cast to float32 inside means "to the type that we compute in"
        if node.op == "Cast" and node.attrs["to"] in (np.float32, onnx.TensorProto.FLOAT):
            node.attrs["to"] = onnx.TensorProto.FLOAT16
        if isinstance(node.attrs.get("value"), gs.Constant) and node.attrs["value"].dtype == np.float32:
            node.attrs["value"] = gs.Constant(node.attrs["value"].name, _narrow(node.attrs["value"]))
    for tensor in floats:
        if isinstance(tensor, gs.Constant):
            tensor.values = _narrow(tensor)
        else:
            tensor.dtype = np.dtype(np.float16)
    for tensor in inputs:
        tensor.dtype = np.dtype(np.float32)
        inside = gs.Variable(f"{tensor.name}/half", dtype=np.float16, shape=tensor.shape)
        for node in original:
            node.inputs = [inside if given is tensor else given for given in node.inputs]
        graph.outputs = [inside if given is tensor else given for given in graph.outputs]
        graph.nodes.append(_cast(tensor, inside, onnx.TensorProto.FLOAT16))
    for tensor in outputs:
        tensor.dtype = np.dtype(np.float32)
        inside = gs.Variable(f"{tensor.name}/half", dtype=np.float16, shape=tensor.shape)
        for node in [node for node in graph.nodes if node.outputs]:
            node.inputs = [inside if given is tensor else given for given in node.inputs]
            node.outputs = [inside if made is tensor else made for made in node.outputs]
        graph.nodes.append(_cast(inside, tensor, onnx.TensorProto.FLOAT))
    for node in [node for node in original if node.op in SQUARING and node.outputs[0].dtype == np.float16]:
        (result,) = node.outputs
        wide = gs.Variable(f"{result.name}/float", dtype=np.float32, shape=result.shape)
        node.outputs = [wide]
        graph.nodes.append(_cast(wide, result, onnx.TensorProto.FLOAT16))
    graph.cleanup().toposort()
    return checked(gs.export_onnx(graph))


def _refuse(graph: Any) -> None:
    import onnx_graphsurgeon as gs

    for node in graph.nodes:
        if any(isinstance(value, gs.Graph) for value in node.attrs.values()):
            raise StepFailed(
                f"{node.name or node.op}: a graph with subgraphs cannot be written in float16", "simplify it first: `{type: onnxsim}`"
            )
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            raise StepFailed("the graph is quantised: float16 comes before INT8 or instead of it", "build int8 from the float32 graph")
    for tensor in graph.outputs:
        if tensor in graph.inputs:
            raise StepFailed(f"{tensor.name}: an input that is an output as well cannot be written in float16", "keep other outputs")


def _narrow(constant: Any) -> Any:
    values = constant.values
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float16)
    if np.isinf(narrow).any() and not np.isinf(values).any():
        raise StepFailed(
            f"{constant.name} holds {np.abs(values).max():g}: float16 ends at 65504",
            "build this model in another precision, or scale that constant",
        )
    return narrow


def _exact(graph: Any, tensor: Any, known: dict[int, Any]) -> Any:
    """`tensor` for a reader that wants float32: its own constant, or a cast of what was computed."""
    import onnx
    import onnx_graphsurgeon as gs

    if id(tensor) not in known:
        name = f"{tensor.name}/float"
        if isinstance(tensor, gs.Constant):
            known[id(tensor)] = gs.Constant(name, tensor.values)
        else:
            known[id(tensor)] = gs.Variable(name, dtype=np.float32, shape=tensor.shape)
            graph.nodes.append(_cast(tensor, known[id(tensor)], onnx.TensorProto.FLOAT))
    return known[id(tensor)]


def _cast(source: Any, result: Any, to: int) -> Any:
    import onnx_graphsurgeon as gs

    return gs.Node("Cast", f"{result.name}/Cast", attrs={"to": to}, inputs=[source], outputs=[result])
