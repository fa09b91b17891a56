"""What a network computes and moves, against counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.errors import StepFailed
from zoo.measure.count import Cost, count


def graph(nodes: list[Any], constants: dict[str, Any], shape: tuple[Any, ...] = (1, 3, 8, 8), kind: int = TensorProto.FLOAT) -> Any:
    """A model from `x` of `shape` to `y` of any."""
    ends = [[helper.make_tensor_value_info(name, kind, sizes)] for name, sizes in (("x", shape), ("y", None))]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return helper.make_model(helper.make_graph(nodes, "g", *ends, initializer=tensors), opset_imports=[helper.make_opsetid("", 17)])


def ones(*shape: int, dtype: Any = np.float32) -> Any:
    return np.ones(shape, dtype)


def cost(op: str, weight: Any, shape: tuple[Any, ...], **attributes: Any) -> Cost:
    concrete = {"": tuple(2 if isinstance(size, str) else size for size in shape)}
    return count(graph([helper.make_node(op, ["x", "w"], ["y"], **attributes)], {"w": weight}, shape), concrete)


def test_a_multiplication_with_its_addition_is_two() -> None:
    assert cost("MatMul", ones(5, 7), (3, 5)).flops == {"fp32": 2 * 3 * 5 * 7}
    assert cost("Gemm", ones(7, 5), (3, 5), transB=1).flops == {"fp32": 2 * 3 * 5 * 7}
    assert cost("Gemm", ones(3, 7), (3, 5), transA=1).flops == {"fp32": 2 * 5 * 3 * 7}
    assert cost("MatMul", ones(2, 4, 5, 7), (2, 4, 3, 5)).flops == {"fp32": 2 * 8 * 3 * 5 * 7}
    assert cost("Einsum", ones(4, 5, 7), (4, 3, 5), equation="bij,bjk->bik").flops == {"fp32": 2 * 4 * 3 * 5 * 7}


def test_convolutions_count_their_groups_strides_and_transposition() -> None:
    assert cost("Conv", ones(4, 3, 3, 3), (1, 3, 8, 8), strides=[2, 2], pads=[1] * 4).flops == {"fp32": 2 * 4 * 4 * 4 * 27}
    assert cost("Conv", ones(6, 1, 3, 3), (1, 6, 8, 8), group=6, pads=[1] * 4).flops == {"fp32": 2 * 6 * 64 * 9}
    # every pixel of the input is multiplied with each tap of each filter of its group
    assert cost("ConvTranspose", ones(6, 2, 4, 4), (1, 6, 5, 5), group=2, strides=[2, 2]).flops == {"fp32": 2 * 6 * 25 * 2 * 16}


def test_the_fewest_products_are_those_inside_the_image_and_winograds_quarter_of_a_3x3() -> None:
    padded = cost("Conv", ones(4, 3, 3, 3), (1, 3, 8, 8), strides=[2, 2], pads=[1] * 4)
    # of 4 places x 3 taps a side, one tap of the first place is outside
    assert padded.fewest["fp32"] == pytest.approx(padded.flops["fp32"] * (11 / 12) ** 2)
    assert padded == cost("Conv", ones(4, 3, 3, 3), (1, 3, 8, 8), strides=[2, 2], auto_pad="SAME_LOWER")
    plain = cost("Conv", ones(4, 3, 3, 3), (1, 3, 8, 8), pads=[1] * 4)
    assert plain.fewest["fp32"] == plain.flops["fp32"] / 4
    dilated = cost("Conv", ones(4, 3, 3, 3), (1, 3, 8, 8), dilations=[2, 2])
    assert dilated.fewest == dilated.flops


def test_bytes_are_those_of_the_types_and_views_move_nothing() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Reshape", ["b", "s"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["y"]),
    ]
    for dtype, kind, name, width in ((np.float32, TensorProto.FLOAT, "fp32", 4), (np.float16, TensorProto.FLOAT16, "fp16", 2)):
        found = count(graph(nodes, {"w": ones(4, 3, 1, 1, dtype=dtype), "s": np.array([1, -1])}, kind=kind), {})
        assert found.weights == 12 * width + 2 * 8
        assert found.edges == (3 + 4) * 64 * width
        # x read; a written and read; b written and read where it is seen as c; y written
        assert found.traffic == found.weights + (3 + 4 * 5) * 64 * width
        assert found.flops == {name: 2 * 4 * 64 * 3} and found.elementwise == 2 * 4 * 64


def test_what_stands_between_dequantised_operands_is_int8() -> None:
    scale = {"s": np.float32(0.1), "z": np.uint8(0), "sw": np.float32(0.1), "zw": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["a"]),
        helper.make_node("QuantizeLinear", ["a", "s", "z"], ["aq"]),
        helper.make_node("DequantizeLinear", ["aq", "s", "z"], ["ad"]),
        helper.make_node("Conv", ["ad", "v"], ["y"]),
    ]
    found = count(graph(nodes, {**scale, "w": ones(4, 3, 1, 1, dtype=np.int8), "v": ones(2, 4, 1, 1)}), {})
    assert found.flops == {"int8": 2 * 4 * 64 * 3, "fp32": 2 * 2 * 64 * 4}
    # 8 bits of w, 32 of v, two scales, two zeros; the first convolution reads and writes 8 bits, as the second reads
    assert found.weights == 12 + 4 * 8 + 10
    assert found.traffic == found.weights + (3 + 4 + 4) * 64 + 4 * 2 * 64
    integer = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("QLinearConv", ["xq", "s", "z", "w", "sw", "zw", "s", "z"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "s", "z"], ["y"]),
    ]
    assert count(graph(integer, {**scale, "w": ones(4, 3, 1, 1, dtype=np.int8)}), {}).flops == {"int8": 2 * 4 * 64 * 3}


def test_a_network_is_counted_at_any_size_and_batch() -> None:
    conv = [helper.make_node("Conv", ["x", "w"], ["y"])]
    small, large = (count(graph(conv, {"w": ones(4, 3, 1, 1)}), {"": (batch, 3, 16, 8)}) for batch in (1, 8))
    assert small.total == 2 * 4 * 16 * 8 * 3 and large.total == 8 * small.total
    assert large.batch == 8 and large.gflops == small.gflops and large.weights == small.weights
    half = large.in_precision("fp16")
    assert half.flops == {"fp16": large.total} and half.weights * 2 == large.weights and half.edges * 2 == large.edges


def test_a_size_that_does_not_fit_is_an_error_that_says_so() -> None:
    conv = graph([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": ones(4, 3, 1, 1)}, (1, 3, "h", "w"))
    with pytest.raises(StepFailed, match="given 4 channels"):
        count(conv, {"": (1, 4, 8, 8)})
    with pytest.raises(StepFailed, match="4 axes"):
        count(conv, {"": (3, 8, 8)})
    with pytest.raises(StepFailed, match="unknown"):
        count(conv, {})
    unknown = graph([helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=1)], {})
    with pytest.raises(StepFailed, match="does not follow"):
        count(unknown, {"": (1, 3, 8, 8)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_counts_the_same_and_so_does_who_publishes_the_network(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from zoo.models.nets.lightweight_openpose import LightweightOpenPoseNet

    network = LightweightOpenPoseNet(1, True, 128, 19, 38).eval()
    image = torch.zeros(1, 3, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    torch.onnx.export(network, (image,), tmp_path / "m.onnx", dynamo=False, opset_version=17)
    exported = onnx.load(tmp_path / "m.onnx")
    assert count(exported, {}).total == counter.get_total_flops()
    # human-pose-estimation-0001 at its published size: Open Model Zoo states 15.435 GFLOPs, with all that is no convolution
    found = count(exported, {"": (1, 3, 256, 456)})
    assert found.gflops == pytest.approx(15.435, rel=0.005) and found.gflops < 15.435
