"""OpenVINO's front ends give the convolutions of TensorFlow graphs and of OpenVINO IR by name."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.weights import OpenVinoReader, PthReader
from zoo.weights.graph import constant, layers

ov = pytest.importorskip("openvino")


def beside(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def tensor(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_tensorflow_convolutions_keep_their_names_and_get_our_layout(tmp_path: Path) -> None:
    tf = beside("frozen_graph")
    weight, shift, depthwise = tensor(3, 3, 2, 4), tensor(4), tensor(3, 3, 4, 1)
    attributes = {"T": tf.kind(), "strides": tf.numbers(1, 2, 2, 1), "padding": tf.text("SAME"), "data_format": tf.text("NHWC")}
    (tmp_path / "x.pb").write_bytes(
        tf.placeholder("image", (-1, -1, -1, 2))
        + tf.constant("net/a/weights", weight)
        + tf.node("net/a/Conv2D", "Conv2D", ("image", "net/a/weights"), **attributes)
        + tf.constant("net/a/shift", shift)
        + tf.node("net/a/Add", "Add", ("net/a/Conv2D", "net/a/shift"), T=tf.kind())
        + tf.node("net/a/Relu", "Relu", ("net/a/Add",), T=tf.kind())
        + tf.constant("net/b/weights", depthwise)
        + tf.node("net/b/depthwise", "DepthwiseConv2dNative", ("net/a/Relu", "net/b/weights"), **attributes)
    )
    found = layers(tmp_path / "x.pb")
    assert list(found) == ["net/a/Conv2D", "net/b/depthwise"]
    assert np.array_equal(found["net/a/Conv2D"].weight, weight.transpose(3, 2, 0, 1))
    assert found["net/a/Conv2D"].bias is not None
    assert np.array_equal(found["net/a/Conv2D"].bias, shift)
    assert np.array_equal(found["net/b/depthwise"].weight, depthwise.transpose(2, 3, 0, 1))
    assert found["net/b/depthwise"].bias is None


def test_tensorflow_lite_layers_are_called_after_their_half_precision_biases(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    tfl = beside("tflite_graph")
    lite = tfl.Graph()
    weight, depthwise, linear = tensor(4, 5, 5, 3), tensor(1, 3, 3, 4), tensor(5, 64)
    biases = [tensor(channels) for channels in (4, 4, 5)]
    image = lite.tensor("image", (1, 8, 8, 3))
    constants = [lite.half("net/a/Conv2D", weight), lite.half("net/a/norm;net/b/norm;net/a/Conv2D", biases[0])]
    made = lite.add(tfl.CONV_2D, [image, *constants], "net/a/Relu6;net/a/norm", (1, 4, 4, 4), stride=2, activation=tfl.RELU6)
    constants = [lite.half("net/b/depthwise", depthwise), lite.half("net/b/norm", biases[1])]
    made = lite.add(tfl.DEPTHWISE_CONV_2D, [made, *constants], "net/b/out", (1, 4, 4, 4))
    constants = [lite.half("net/c/MatMul", linear), lite.half("net/c/BiasAdd", biases[2])]
    made = lite.add(tfl.FULLY_CONNECTED, [made, *constants], "out", (1, 5))
    (tmp_path / "x.tflite").write_bytes(lite.bytes([image], [made]))
    found = layers(tmp_path / "x.tflite")
    assert list(found) == ["net/a/norm", "net/b/norm", "net/c/BiasAdd"]
    expected = (weight.transpose(0, 3, 1, 2), depthwise.transpose(3, 0, 1, 2), linear)
    for layer, value, bias in zip(found.values(), expected, biases, strict=True):
        assert layer.bias is not None
        assert np.array_equal(layer.weight, value.astype(np.float16).astype(np.float32))
        assert np.array_equal(layer.bias, bias.astype(np.float16).astype(np.float32))


def test_what_is_added_to_a_layer_is_its_bias_only_if_it_is_constant(tmp_path: Path) -> None:
    ops = ov.opset13
    image = ops.parameter([1, 2], np.float32)
    first = ops.matmul(image, np.eye(2, dtype=np.float32), False, False)
    second = ops.matmul(first, tensor(2, 2), False, False)
    ov.save_model(ov.Model([ops.add(ops.add(first, second), ops.matmul(first, second, True, False))], [image]), tmp_path / "x.xml", False)
    found = list(layers(tmp_path / "x.xml").values())
    assert len(found) == 2, "a product of two activations is no layer"
    assert all(layer.bias is None for layer in found)
    assert np.array_equal(found[1].weight, tensor(2, 2).T)


@pytest.mark.assets
def test_int8_ir_gives_the_tensors_of_the_dequantised_checkpoint(assets: Path) -> None:
    weights = assets / "weights"
    read = OpenVinoReader(file="human-pose-estimation-0001-int8.xml", names="lightweight_openpose").read(weights)
    expected = PthReader(file="human-pose-estimation-0001.pth").read(weights)
    assert read.keys() == expected.keys()
    for key, value in expected.items():
        assert read[key].dtype == value.dtype, key
        assert np.array_equal(read[key].reshape(value.shape), value), key


@pytest.mark.assets
@pytest.mark.parametrize("compressed", [False, True])
def test_floating_point_ir_with_the_same_names_reads_alike(assets: Path, tmp_path: Path, compressed: bool) -> None:
    model = ov.Core().read_model(assets / "weights/human-pose-estimation-0001-int8.xml")
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            value = constant(node.input_value(1).get_node()).astype(node.get_input_element_type(1).to_dtype())
            node.input(1).replace_source_output(ov.op.Constant(value).output(0))
    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            node.output(0).replace(node.input_value(0))
    ov.save_model(model, tmp_path / "x.xml", compress_to_fp16=compressed)
    assert "FakeQuantize" not in (tmp_path / "x.xml").read_text()
    names = {"names": "lightweight_openpose"}
    read = OpenVinoReader(file="x.xml", **names).read(tmp_path)  # type: ignore[arg-type]
    expected = OpenVinoReader(file="human-pose-estimation-0001-int8.xml", **names).read(assets / "weights")  # type: ignore[arg-type]
    assert all(np.array_equal(read[key], value) for key, value in expected.items())


def test_fake_quantized_weights_are_folded_as_openvino_folds_them() -> None:
    ops = ov.opset13
    value = tensor(4, 3, 3, 3)
    low, high = tensor(4, 1, 1, 1) - 3, tensor(4, 1, 1, 1) + 3
    node = ops.fake_quantize(value, low, high, low, high, 255)
    compiled = ov.compile_model(ov.Model([node], []), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # where a value lies in the middle of two levels, rounding may go either way
    step = float((high - low).max()) / 254
    difference = np.abs(constant(node) - compiled([])[0])
    assert (difference < 1e-6).mean() > 0.97
    assert difference.max() < step * 1.01


def test_constant_that_is_computed_otherwise_is_refused() -> None:
    with pytest.raises(StepFailed, match="is made by Sin, which this reader does not fold"):
        constant(ov.opset13.sin(ov.opset13.constant(np.ones(1, np.float32))))


def graph(path: Path) -> None:
    image = ov.opset13.parameter([1, 1, 8, 8], np.float32)
    layer = ov.opset13.convolution(image, np.ones((1, 1, 3, 3), np.float32), [1, 1], [1, 1], [1, 1], [1, 1])
    layer.set_friendly_name("odd")
    ov.save_model(ov.Model([layer], [image]), path)


@pytest.mark.parametrize("names", ["hand_landmark", "lightweight_openpose", "openpose_mobilenet"])
def test_graph_of_another_network_is_refused_with_ten_layers(tmp_path: Path, names: Any) -> None:
    graph(tmp_path / "x.xml")
    with pytest.raises(StepFailed, match=r"lacks the layers (\S+, ){9}\S+ \(\d+ in all\)"):
        OpenVinoReader(file="x.xml", names=names).read(tmp_path)


def test_ir_without_its_bin_says_so(tmp_path: Path) -> None:
    graph(tmp_path / "x.xml")
    (tmp_path / "x.bin").unlink()
    with pytest.raises(StepFailed, match=r"x\.bin are not beside it"):
        layers(tmp_path / "x.xml")


@pytest.mark.parametrize("name", ["x.pb", "x.tflite", "x.xml"])
def test_what_is_no_graph_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x0a\xffno graph")
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(StepFailed, match=f"{name}: OpenVINO cannot open it"):
        layers(tmp_path / name)
