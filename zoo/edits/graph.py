"""What holds for every graph that leaves a step."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from zoo.errors import StepFailed

if TYPE_CHECKING:
    import onnx

IR_VERSION = 10
OPSET = 20
#: Model metadata under this prefix is ours; everything else that tools write there (source paths, above all) goes.
METADATA = "zoo."


def checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` that any of our runtimes reads, and that holds nothing of the machine that made it.

    1. The IR version is at most 10; an operator set over 20 is refused (newer ones are written by default
       and no released runtime of ours reads them).
    2. Doc strings and metadata are removed, but for the model's own `zoo.*`.
    3. ONNX's full check (shapes included) passes.
    4. ONNX Runtime loads it.

    Raises StepFailed."""
    import onnx

    result = onnx.ModelProto()
    result.CopyFrom(model)
    result.ir_version = min(result.ir_version, IR_VERSION)
    for opset in result.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > OPSET:
            raise StepFailed(
                f"the graph is written in opset {opset.version}; at most {OPSET} is read everywhere", "export it with opset 17"
            )
    _strip(result)
    try:
        onnx.checker.check_model(result, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise StepFailed(
            f"the graph does not pass ONNX's check: {error}", "which step or edit made it? `zoo build --verbose` names each"
        ) from error
    load(result)
    return result


def load(model: onnx.ModelProto) -> Any:
    """A quiet ONNX Runtime session of `model`, one thread, nothing optimised. Raises StepFailed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors have no common base
        raise StepFailed(
            f"ONNX Runtime does not load the graph: {error}", "which step or edit made it? `zoo build --verbose` names each"
        ) from error


def tensor_names(model: onnx.ModelProto) -> list[str]:
    """Every tensor of the graph that is computed or fed, in order."""
    constants = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in constants]
    return names + [name for node in model.graph.node for name in node.output if name]


def unknown(what: str, name: str, known: Collection[str]) -> StepFailed:
    """The error for a name that the graph does not have."""
    near = difflib.get_close_matches(name, known, 1, 0.4)
    few = ", ".join(list(known)[:10]) + (", ..." if len(known) > 10 else "")
    return StepFailed(f"the graph has no {what} {name!r}", f"did you mean {near[0]!r}?" if near else f"it has {few or 'none'}")


def _strip(model: onnx.ModelProto) -> None:
    ours = [(entry.key, entry.value) for entry in model.metadata_props if entry.key.startswith(METADATA)]
    del model.metadata_props[:]
    for key, value in ours:
        model.metadata_props.add(key=key, value=value)
    model.doc_string = ""
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        _strip_nodes(function.node)


def _strip_graph(graph: Any) -> None:
    for item in (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    _strip_nodes(graph.node)


def _strip_nodes(nodes: Any) -> None:
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            attribute.doc_string = ""
            if attribute.HasField("g"):
                _strip_graph(attribute.g)
            for graph in attribute.graphs:
                _strip_graph(graph)
