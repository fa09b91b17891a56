"""Smoothing moves factors between convolutions and changes nothing else."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from zoo.backends import OnnxRuntime
from zoo.calibrators import MinMax
from zoo.calibrators.quantize import quantize
from zoo.calibrators.smooth import smooth
from zoo.context import Context

RANDOM = np.random.default_rng(3)
WILD = np.array([1000.0, 30.0, 1.0, 0.03], np.float32)


def weight(name: str, *shape: int, scale: NDArray[np.float32] | float = 1.0) -> onnx.TensorProto:
    values = RANDOM.standard_normal(shape).astype(np.float32) * np.reshape(scale, (-1, 1, 1, 1) if np.ndim(scale) else ())
    return numpy_helper.from_array(values.astype(np.float32), name)


def network(outputs: tuple[str, ...] = ("y",)) -> onnx.ModelProto:
    """first -> ReLU -> depthwise -> pointwise a; first -> ReLU -> pointwise b; a and b joined, read by a depthwise and a last one."""
    wild = WILD.reshape(-1, 1, 1, 1)
    last = numpy_helper.from_array((RANDOM.standard_normal((2, 8, 1, 1)) / 8).astype(np.float32), "w5")
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["first"], "first"),
        helper.make_node("Relu", ["first"], ["relu"], "relu"),
        helper.make_node("Conv", ["relu", "w2"], ["deep"], "depthwise", group=4, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["deep", "w3"], ["a"], "a"),
        helper.make_node("Conv", ["relu", "w4"], ["b"], "b"),
        helper.make_node("Concat", ["a", "b"], ["joined"], "join", axis=1),
        helper.make_node("Conv", ["joined", "w5"], ["y"], "last"),
    ]
    back = numpy_helper.from_array((RANDOM.standard_normal((4, 4, 1, 1)) / wild.reshape(1, -1, 1, 1)).astype(np.float32), "w4")
    constants = [
        weight("w1", 4, 3, 1, 1, scale=WILD),
        numpy_helper.from_array(WILD, "b1"),
        weight("w2", 4, 1, 3, 3, scale=1 / WILD),
        weight("w3", 4, 4, 1, 1),
        back,
        last,
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    shape = [1, 3, "h", "w"]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], values, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def feeds() -> list[dict[str, NDArray[np.float32]]]:
    return [{"x": RANDOM.standard_normal((1, 3, 8, 8)).astype(np.float32)} for _ in range(4)]


def run(model: onnx.ModelProto, folder: Path, feed: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    with OnnxRuntime().open(folder, threads=1) as runner:
        return runner(feed)


def constant(model: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    return numpy_helper.to_array(next(tensor for tensor in model.graph.initializer if tensor.name == name))


def test_the_function_stays_and_the_given_graph_too(feeds: list[dict[str, NDArray[np.float32]]], tmp_path: Path, context: Context) -> None:
    model = network()
    before = model.SerializeToString(deterministic=True)
    smoothed = smooth(model, feeds, 0.5, context)
    expected, found = run(model, tmp_path / "a", feeds[0])["y"], run(smoothed, tmp_path / "b", feeds[0])["y"]
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert model.SerializeToString(deterministic=True) == before
    assert not np.allclose(constant(smoothed, "w1"), constant(model, "w1"))


def test_channels_become_alike(feeds: list[dict[str, NDArray[np.float32]]], tmp_path: Path, context: Context) -> None:
    def spread(model: onnx.ModelProto, folder: Path) -> float:
        model.graph.output.append(helper.make_tensor_value_info("relu", TensorProto.FLOAT, None))
        largest = np.max([run(model, folder, feed)["relu"].max(axis=(0, 2, 3)) for feed in feeds], axis=0)
        return float(largest.max() / largest.min())

    smoothed = smooth(network(), feeds, 0.75, context)
    assert spread(smoothed, tmp_path / "b") < 0.05 * spread(network(), tmp_path / "a")


def test_a_tensor_that_leaves_the_graph_keeps_its_values(
    feeds: list[dict[str, NDArray[np.float32]]], tmp_path: Path, context: Context
) -> None:
    model = network(("y", "a"))
    expected, found = run(model, tmp_path / "a", feeds[0]), run(smooth(model, feeds, 0.5, context), tmp_path / "b", feeds[0])
    for name in ("y", "a"):
        assert np.abs(found[name] - expected[name]).max() < 1e-5 * np.abs(expected[name]).max()


def test_eight_bits_hold_what_they_lost_before(feeds: list[dict[str, NDArray[np.float32]]], tmp_path: Path, context: Context) -> None:
    def noise(model: onnx.ModelProto, name: str) -> float:
        folder = tmp_path / name
        folder.mkdir()
        onnx.save(model, folder / "float.onnx")
        quantize(folder / "float.onnx", folder / "model.onnx", feeds, calibrator=MinMax(), scheme="u8s8", context=context)
        exact = run(network_once, tmp_path / "exact", feeds[0])["y"]
        with OnnxRuntime().open(folder, threads=1) as runner:
            return float(((runner(feeds[0])["y"] - exact) ** 2).mean())

    network_once = network()
    assert noise(smooth(network_once, feeds, 0.65, context), "smoothed") < 0.2 * noise(network_once, "plain")


def small(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])], values, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("case", ["joined along the height", "two inputs to a group"])
def test_what_factors_cannot_pass_is_left_alone(
    case: str, feeds: list[dict[str, NDArray[np.float32]]], tmp_path: Path, context: Context
) -> None:
    first = helper.make_node("Conv", ["x", "w1"], ["a"], "first")
    if case == "joined along the height":
        nodes = [first, helper.make_node("Concat", ["a", "a2"], ["joined"], "join", axis=2)]
        nodes.insert(1, helper.make_node("Conv", ["x", "w2"], ["a2"], "other"))
        nodes.append(helper.make_node("Conv", ["joined", "w3"], ["y"], "last"))
        constants = [weight("w1", 4, 3, 1, 1, scale=WILD), weight("w2", 4, 3, 1, 1), weight("w3", 2, 4, 1, 1)]
    else:
        nodes = [first, helper.make_node("Conv", ["a", "w2"], ["y"], "grouped", group=2)]
        constants = [weight("w1", 4, 3, 1, 1, scale=WILD), weight("w2", 2, 2, 1, 1)]
    model = small(nodes, constants)
    smoothed = smooth(model, feeds, 0.5, context)
    assert np.array_equal(constant(smoothed, "w1"), constant(model, "w1"))
    assert np.array_equal(run(smoothed, tmp_path / "b", feeds[0])["y"], run(model, tmp_path / "a", feeds[0])["y"])
