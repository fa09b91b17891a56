"""Half precision in the graph."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.edits.half import half
from zoo.errors import StepFailed


def image() -> Any:
    return np.random.default_rng(0).normal(0, 1, (1, 3, 12, 16)).astype(np.float32)


def resized(nodes: list[Any], constants: list[Any]) -> Any:
    """A graph that resizes, by scales that are a constant or computed."""
    resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], "resize", mode="linear")
    out = helper.make_node("Mul", ["y", "two"], ["z"], "mul")
    two = numpy_helper.from_array(np.array(2, np.float32), "two")
    graph = helper.make_graph(
        [*nodes, resize, out],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("z", 1, [1, 3, None, None])],
        [two, *constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_inside_is_float16_and_the_edges_are_float32(network: Any) -> None:
    result = half(network)
    assert {tensor.data_type for tensor in result.graph.initializer} == {TensorProto.FLOAT16}
    edges = [*result.graph.input, *result.graph.output]
    assert [value.name for value in edges] == ["data", "heat", "final"]
    assert {value.type.tensor_type.elem_type for value in edges} == {TensorProto.FLOAT}
    types = {value.name: value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(result).graph.value_info}
    convolutions = [node for node in result.graph.node if node.op_type == "Conv"]
    assert {types[node.output[0]] for node in convolutions} == {TensorProto.FLOAT16}


def test_an_output_that_is_read_inside_is_cast_for_the_outside_only(network: Any, compute: Any) -> None:
    result = half(network)
    concat = next(node for node in result.graph.node if node.op_type == "Concat")
    assert "heat" not in concat.input
    assert [node.op_type for node in result.graph.node].count("Cast") == 3
    wanted = compute(network, image())
    for name, found in compute(result, image()).items():
        noise = ((found - wanted[name]) ** 2).mean()
        assert 0 < noise < 1e-5 * (wanted[name] ** 2).mean()


def test_the_given_graph_stays_as_it_was(network: Any) -> None:
    before = network.SerializeToString(deterministic=True)
    half(network)
    assert network.SerializeToString(deterministic=True) == before


def test_constant_scales_of_a_resize_stay_float32(compute: Any) -> None:
    model = resized([], [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")])
    np.testing.assert_allclose(compute(half(model), image())["z"], compute(model, image())["z"], atol=0.01)


def test_computed_scales_of_a_resize_are_brought_back_to_float32(compute: Any) -> None:
    sizes = numpy_helper.from_array(np.array([1, 1, 2, 2], np.int64), "sizes")
    model = resized([helper.make_node("Cast", ["sizes"], ["scales"], "cast", to=TensorProto.FLOAT)], [sizes])
    np.testing.assert_allclose(compute(half(model), image())["z"], compute(model, image())["z"], atol=0.01)


def test_sums_of_squares_are_computed_in_float32(compute: Any) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["y"], "mul"),
        helper.make_node("ReduceL2", ["y"], ["norm"], "norm", axes=[1], keepdims=1),
        helper.make_node("Div", ["y", "norm"], ["z"], "div"),
    ]
    factor = numpy_helper.from_array(np.array(300, np.float32), "factor")
    outputs = [helper.make_tensor_value_info(name, 1, [1, size, 12, 16]) for name, size in (("norm", 1), ("z", 3))]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [1, 3, 12, 16])], outputs, [factor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    result = half(model)
    types = {value.name: value.type.tensor_type.elem_type for value in onnx.shape_inference.infer_shapes(result).graph.value_info}
    norm, div = (next(node for node in result.graph.node if node.name == name) for name in ("norm", "div"))
    assert {types[name] for name in (*norm.input, *norm.output)} == {TensorProto.FLOAT}
    assert {types[name] for name in div.input} == {TensorProto.FLOAT16}
    wanted = compute(model, image())
    for name, found in compute(result, image()).items():
        np.testing.assert_allclose(found, wanted[name], rtol=0.01)


def test_sums_of_squares_of_whole_numbers_stay_whole(compute: Any) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"], "sides"),
        helper.make_node("ReduceSumSquare", ["sides"], ["sum"], "sum", keepdims=0),
        helper.make_node("Cast", ["sum"], ["float"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "float"], ["z"], "mul"),
    ]
    edges = [helper.make_tensor_value_info(name, 1, [1, 3, 12, 16]) for name in "xz"]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    np.testing.assert_allclose(compute(half(model), image())["z"], compute(model, image())["z"], rtol=0.01)


def test_a_constant_beyond_float16_is_refused_and_named(network: Any) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full(8, 1e5, np.float32), "stem.bias"))
    with pytest.raises(StepFailed, match=r"stem\.bias holds 100000"):
        half(model)


def test_a_quantised_graph_is_refused() -> None:
    constants = [numpy_helper.from_array(np.array(0.1, np.float32), "s"), numpy_helper.from_array(np.array(0, np.int8), "z")]
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    edges = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:], constants)
    with pytest.raises(StepFailed, match="quantised"):
        half(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_a_graph_with_subgraphs_is_refused() -> None:
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, [1])])
    node = helper.make_node("If", ["flag"], ["y"], "choice", then_branch=branch, else_branch=branch)
    edges = [helper.make_tensor_value_info("x", 1, [1]), helper.make_tensor_value_info("flag", TensorProto.BOOL, [])]
    graph = helper.make_graph([node], "g", edges, [helper.make_tensor_value_info("y", 1, [1])])
    with pytest.raises(StepFailed, match="choice: a graph with subgraphs"):
        half(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
