"""What published ONNX files need before anything else is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import StepFailed

if TYPE_CHECKING:
    import onnx


def modern(model: onnx.ModelProto, opset: int, ir: int) -> onnx.ModelProto:
    """`model` in the operator set `opset`, where it is older, and the format's version `ir`; the given one stays as it was.

    1. Constants no longer stand among the inputs, as they had to before IR 4.
    2. A batch norm whose `spatial: 0` contradicts its statistics, one for each channel, loses it: MXNet's exporter wrote
       that, and nothing but a runtime that fuses the batch norm into a convolution computes such a file.
    3. A graph in a newer operator set stays in it.

    Raises StepFailed where ONNX's own converter does not know the way."""
    import onnx
    from onnx import version_converter

    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.ir_version = ir
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    fed = [value for value in model.graph.input if value.name not in constants]
    del result.graph.input[:]
    result.graph.input.extend(fed)
    for node in result.graph.node:
        if node.op_type == "BatchNormalization" and node.input[1] in constants and len(constants[node.input[1]].dims) == 1:
            kept = [attribute for attribute in node.attribute if attribute.name != "spatial"]
            del node.attribute[:]
            node.attribute.extend(kept)
    has = next((one.version for one in result.opset_import if one.domain in ("", "ai.onnx")), opset)
    if has >= opset:
        return result
    try:
        return version_converter.convert_version(result, opset)
    except RuntimeError as error:  # what its C++ throws
        reason = (str(error).strip() or repr(error)).splitlines()[-1]
        raise StepFailed(
            f"ONNX does not bring the graph from opset {has} to {opset}: {reason}", "say a lower `opset:` under `export:`, at least 13"
        ) from error


def free_batch(model: onnx.ModelProto) -> None:
    """Make the first axis of the one input, and of all outputs, the `batch`, in place.

    A Reshape of what is computed from the input, to a constant shape that begins with the batch which the file was written
    with, takes the batch from what it is given. Shapes of inner tensors go: they were of the one batch. Whether the graph
    then computes each image by itself is for the caller to prove."""
    from onnx import helper, numpy_helper

    graph = model.graph
    source = graph.input[0]
    batch = source.type.tensor_type.shape.dim[0]
    if not batch.HasField("dim_value"):
        return
    written = batch.dim_value
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {
        node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant" and node.attribute[0].HasField("t")
    }
    computed = {source.name}
    for node in graph.node:
        if not computed & set(node.input):
            continue
        computed.update(node.output)
        if node.op_type == "Reshape" and node.input[0] in computed and node.input[1] in constants:
            shape = numpy_helper.to_array(constants[node.input[1]])
            if shape.size and shape[0] == written:
                name = f"{node.output[0]}/shape"
                graph.initializer.append(numpy_helper.from_array(np.concatenate([np.zeros(1, np.int64), shape[1:]]), name))
                node.input[1] = name
    del graph.value_info[:]
    for value in (source, *graph.output):
        value.type.tensor_type.shape.dim[0].CopyFrom(helper.make_tensor_value_info("", 1, ["batch"]).type.tensor_type.shape.dim[0])
