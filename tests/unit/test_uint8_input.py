"""Graphs that take uint8: `fold_preprocess` with `input: uint8`, from the recipe to the poses."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from workspaces import Small, Zoo, position

from zoo.backends import OnnxRuntime, TensorRtRtx
from zoo.context import Context
from zoo.edits import FoldPreprocess
from zoo.edits.half import half
from zoo.errors import RecipeError, StepFailed, ZooError
from zoo.pose.fits import Box, Height, Letterbox, Stretch
from zoo.pose.preprocess import Preprocess
from zoo.recipe.workspace import open_place, read_recipe
from zoo.steps.bundle import preprocess
from zoo.steps.latency import MeasureLatency

BYTES = FoldPreprocess(input="uint8")
RGB: dict[str, Any] = {"colour": "rgb", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
FITS = [
    Height(height=256, min_width=256),
    Letterbox(width=200, height=120, pad=(1, 2, 3)),
    Stretch(width=184, height=184, interpolation="cubic"),
    Box(width=96, height=128, pad=(7, 8, 9)),
]
TARGETS = """\
  onnxruntime-fp32: {edits: [{type: fold_preprocess, input: uint8}]}
  onnxruntime-int8: {edits: [{type: fold_preprocess, input: uint8}], parity: {snr: 15, reason: eight bits are few}}
  openvino-fp32: {edits: [{type: fold_preprocess, input: uint8}]}
"""
ORDER = ("  order: normalize_then_resize\n", "  order: resize_then_normalize\n")
ONE = "  onnxruntime-fp32:\n"
LAST = "    datasets: [coco_val2017, coco_train2017]\n"
FLOATS = LAST + "  - {protocol: floats, title: Floats, datasets: [coco_val2017], order: normalize_then_resize}\n"


def identity() -> ModelProto:
    """A graph that gives what it is fed."""
    data, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("data", "out"))
    graph = helper.make_graph([helper.make_node("Identity", ["data"], ["out"])], "identity", [data], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def picture(width: int = 53, height: int = 37) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("normal", [{}, RGB], ids=["raw", "rgb"])
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: type(fit).__name__)
def test_a_folded_graph_makes_of_bytes_what_preprocessing_makes_of_the_image(fit: Any, normal: dict[str, Any], compute: Any) -> None:
    whole = Preprocess(fit=fit, **normal)
    folded, left = BYTES.apply(identity(), whole)
    wanted, affine = whole.prepare(picture())
    found, same = left.prepare(picture())
    assert (found.dtype, found.shape) == (np.uint8, wanted.shape) and left.raw
    np.testing.assert_array_equal(same.matrix, affine.matrix)
    np.testing.assert_allclose(compute(folded, found)["out"], wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.assets
def test_photographs_come_out_alike_from_bytes_and_from_floats(assets: Path, compute: Any) -> None:
    whole = Preprocess(fit=Height(height=256, min_width=256), **RGB)
    folded, left = BYTES.apply(identity(), whole)
    for path in sorted((assets / "coco_mini/images").glob("*.jpg"))[:8]:
        image = cv2.imread(str(path))
        assert image is not None
        wanted = whole.prepare(image)[0]
        np.testing.assert_allclose(compute(folded, left.prepare(image)[0])["out"], wanted, rtol=0, atol=2e-7 * np.abs(wanted).max())


def test_crops_are_cut_into_bytes_together() -> None:
    left = Preprocess(fit=Box(width=24, height=32)).folded("uint8")
    boxes = [np.array([0, 0, 20, 20]), np.array([-30, 5, 40, 60]), np.array([500, 500, 600, 600])]
    tensor, affines = left.prepare_crops([picture()] * 3, boxes)
    assert tensor.dtype == np.uint8 and tensor.shape == (3, 3, 32, 24) and len(affines) == 3
    np.testing.assert_array_equal(tensor, left.folded().prepare_crops([picture()] * 3, boxes)[0])


def test_half_precision_casts_the_bytes_at_once(network: Any, compute: Any) -> None:
    whole = Preprocess(fit=Stretch(width=16, height=12), mean=(128.0,) * 3, std=(256.0,) * 3)
    folded, left = BYTES.apply(network, whole)
    narrow = half(folded)
    assert [node.attribute[0].i for node in narrow.graph.node if node.op_type == "Cast" and node.input[0] == "data"] == [10]
    wanted, found = compute(network, whole.prepare(picture())[0]), compute(narrow, left.prepare(picture())[0])
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-2 * float(np.abs(wanted[name]).max()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"order": "normalize_then_resize"}, "the order normalize_then_resize resizes fractions"),
        ({"fit": Height(pad=(128, 127.5, 128))}, "the padding is 128, 127.5, 128"),
        ({"fit": Box(width=8, height=8, pad=(0, 0, 256))}, "the padding is 0, 0, 256"),
        ({"fit": Letterbox(width=8, height=8, pad=(-1, 0, 0))}, "the padding is -1, 0, 0"),
        ({"std": (2, 2, 2)}, "these are normalised"),
    ],
)
def test_what_bytes_cannot_hold_is_refused(wrong: dict[str, Any], said: str) -> None:
    prepare = Preprocess(**{"fit": Height(), "dtype": "uint8", **wrong})
    with pytest.raises(ZooError, match=said):
        prepare.prepare(picture())
    if "std" not in wrong:  # that is what is folded
        with pytest.raises(StepFailed, match=said):
            BYTES.apply(identity(), msgspec.structs.replace(prepare, dtype="float32", mean=(1, 2, 3)))


def test_a_graph_that_takes_bytes_already_is_not_folded_again() -> None:
    folded, left = BYTES.apply(identity(), Preprocess(fit=Height()))
    with pytest.raises(StepFailed, match="wants a float32 input"):
        FoldPreprocess().apply(folded, left)


def test_a_runner_refuses_floats_where_it_takes_bytes(tmp_path: Path) -> None:
    folded, left = BYTES.apply(identity(), Preprocess(fit=Stretch(width=8, height=8), **RGB))
    (tmp_path / "model.onnx").write_bytes(folded.SerializeToString())
    with OnnxRuntime().open(tmp_path, threads=1) as runner:
        assert runner.inputs["data"].dtype == "uint8"
        assert runner({"data": left.prepare(picture())[0]})["out"].dtype == np.float32
        with pytest.raises(StepFailed, match=r"the input 'data' is uint8 .* was given float32"):
            runner({"data": np.zeros((1, 3, 8, 8), np.float32)})


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_builds_what_takes_bytes(network: Any, precision: str, tmp_path: Path, context: Context) -> None:
    pytest.importorskip("tensorrt_rtx")
    graph, _ = BYTES.apply(network, Preprocess(fit=Stretch(width=16, height=12), **RGB))
    (tmp_path / "model.onnx").write_bytes((half(graph) if precision == "fp16" else graph).SerializeToString())
    out = tmp_path / "out"
    out.mkdir()
    shape = (1, 3, 12, 16)
    TensorRtRtx().compile(tmp_path, out, precision=precision, shapes={"data": (shape, shape, shape)}, context=context)
    assert (out / "model.engine").stat().st_size


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    monkeypatch.setattr("zoo.engine.network.MeasureLatency", functools.partial(MeasureLatency, seconds=0.01, runs=3))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ZOO_COCO", raising=False)
    yield Small.entered(tmp_path / "workspace", monkeypatch)


FOLDED = "edits: [{type: fold_preprocess, input: uint8}]"
OWN = (ONE, f"  onnxruntime-fp32: {{{FOLDED}}}\n")
ALL = ("  - type: onnxsim\n", "  - {type: fold_preprocess, input: uint8}\n")
CASES: dict[str, tuple[list[tuple[str, str]], str, str]] = {
    "the recipe's own order": ([OWN], "onnxruntime-fp32:", "resizes fractions"),
    "an order, with an edit for all targets": ([ALL], "- {type: fold", "resizes fractions"),
    "a protocol's order, with an edit for all targets": ([ORDER, ALL, (LAST, FLOATS)], "normalize_then_resize", "no target takes that"),
    "padding": ([ORDER, OWN, ("min_width: 64}", "min_width: 64, pad: [1, 2, 3.5]}")], "{type: fold", "padding is 1, 2, 3.5"),
    "the recipe's own type": ([("  colour: bgr\n", "  colour: bgr\n  dtype: uint8\n")], "uint8", "say it under `edits:`"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_bytes_cannot_hold_is_a_fault_of_the_recipe_at_its_line(small: Small, name: str) -> None:
    changes, word, said = CASES[name]
    text = small.recipe(*changes)
    with pytest.raises(RecipeError) as caught:
        read_recipe(small.root / "recipes/tiny.yaml", open_place(str(small.root)))
    (problem,) = caught.value.problems
    assert said in problem.message
    assert problem.line == int(position(text, word).split(":")[0])


def test_a_protocol_of_fractions_is_passed_over_for_a_target_of_bytes_alone(small: Small, zoo: Zoo) -> None:
    small.recipe(ORDER, (ONE, f"{ONE}  openvino-fp32: {{{FOLDED}}}\n"), (LAST, FLOATS))
    judged = [line["id"] for line in json.loads(zoo("plan", "tiny", "--json").out) if "/accuracy/" in line["id"]]
    assert judged == [
        "tiny/onnxruntime-fp32/accuracy/coco_val2017/original",
        "tiny/onnxruntime-fp32/accuracy/coco_val2017/floats",
        "tiny/openvino-fp32/accuracy/coco_val2017/original",
    ]


def test_every_step_of_the_line_works_on_bytes(small: Small, zoo: Zoo) -> None:
    """Calibration, compilers, parity, accuracy, timing, `zoo predict`, and what Vastai's tools are told."""
    pytest.importorskip("torch")
    pytest.importorskip("openvino")
    small.recipe(ORDER, (ONE, TARGETS))
    small.weights()
    assert zoo("build", "tiny", "--target", "*").code == 0
    for target in ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32"):
        assert preprocess(small.artifact(f"tiny/{target}/compile")).dtype == "uint8"
        # floats into the graph before are what bytes into the target are held against
        compared = json.loads((small.artifact(f"tiny/{target}/parity") / "report.json").read_text())["comparisons"]
        assert compared and (target.endswith("int8") or all(one["largest"] < 1e-5 * one["scale"] for one in compared))
    said = zoo("eval", "tiny", "--target", "onnxruntime-int8")
    assert said.code == 0, said.err
    result = json.loads((small.root / "results/here/tiny/onnxruntime-int8.json").read_text())
    assert result["accuracy"][0]["images"] == 3 and not result["accuracy"][0]["skipped"]
    assert result["latency"]["timing"]
    assert zoo("predict", "tiny", "coco/val2017", "--target", "onnxruntime-int8").code == 0
    refused = zoo("emit", "vdsp", "tiny", "--target", "onnxruntime-fp32")
    assert refused.code == 2 and "an input of uint8" in refused.err
