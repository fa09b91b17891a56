"""Networks that are published as an ONNX file: what comes out of the step is what the file computes, in the form of every export."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from workspaces import RECIPE, Small, Zoo, changed

from zoo.backends.onnxruntime import OnnxRuntime
from zoo.calibrators import MinMax
from zoo.calibrators.quantize import quantize
from zoo.context import Context
from zoo.datasets import Folder
from zoo.edits import OnnxSim
from zoo.edits.half import half
from zoo.errors import StepFailed
from zoo.models import OnnxGraph
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.steps import reports
from zoo.steps.adopt import AdoptOnnx
from zoo.steps.bundle import Bundle
from zoo.steps.export import Export
from zoo.steps.images import Views
from zoo.steps.parity import Gate, MeasureParity
from zoo.steps.provenance import Provenance
from zoo.weights import OnnxReader

OUTPUTS = {"maps": 4, "found": 4}
FREE: tuple[Any, ...] = ("batch",)


def graph(opset: int = 17, more: Sequence[onnx.NodeProto] = (), outputs: Sequence[str] = (), batch: int | str = 1) -> onnx.ModelProto:
    """`x` (batch, 3, 8, 8) -> `maps` (batch, 4, 4, 4) and `found` (batch, 16, 4), the same points in a row, as detectors give
    theirs. Before opset 9 as MXNet wrote it: constants among the inputs, `spatial: 0`, bounds of Clip as attributes."""
    random = np.random.default_rng(0)
    values = {
        "w": random.normal(0, 0.2, (4, 3, 3, 3)), "scale": random.uniform(0.5, 1.5, 4), "shift": random.normal(0, 0.1, 4),
        "mean": random.normal(0, 0.1, 4), "var": random.uniform(0.5, 1.5, 4), "low": np.float32(0), "high": np.float32(6),
    }  # fmt: skip
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()]
    constants.append(numpy_helper.from_array(np.array([batch if batch == 1 else -1, 4, 16], np.int64), "row"))
    old = opset < 9
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], "conv", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["conv", "scale", "shift", "mean", "var"], ["norm"], "norm", **{"spatial": 0} if old else {}
        ),
        helper.make_node("Clip", ["norm"], ["maps"], "clip", min=0.0, max=6.0)
        if old
        else helper.make_node("Clip", ["norm", "low", "high"], ["maps"], "clip"),
        helper.make_node("Reshape", ["maps", "row"], ["rows"], "reshape"),
        helper.make_node("Transpose", ["rows"], ["found"], "transpose", perm=[0, 2, 1]),
        *more,
    ]
    floats = onnx.TensorProto.FLOAT
    shapes = {"maps": [batch, 4, 4, 4], "found": [batch, 16, 4]}
    inputs = [helper.make_tensor_value_info("x", floats, [batch, 3, 8, 8])]
    if old:
        constants = [constant for constant in constants if constant.name not in ("low", "high")]
        inputs += [helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims) for constant in constants]
    made = helper.make_graph(
        nodes,
        "published",
        inputs,
        [helper.make_tensor_value_info(name, floats, shapes.get(name, [batch, 4, 4, 4])) for name in (*OUTPUTS, *outputs)],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if old else 8)


def export(dynamic: tuple[Any, ...] = FREE, **fields: Any) -> Export:
    return Export(**{"input": "image", "shape": (1, 3, 8, 8), "dynamic": dynamic} | fields)


PREPROCESS = Preprocess(fit=Stretch(width=8, height=8), colour="rgb", mean=(128, 128, 128), std=(64, 64, 64))


def adopt(
    model: onnx.ModelProto,
    context: Context,
    *,
    outputs: dict[str, int] = OUTPUTS,
    export: Export | None = None,
    preprocess: Preprocess = PREPROCESS,
) -> Bundle:
    """What the step makes of a published graph."""
    weights, out = context.root / "weights", context.root / "out"
    weights.mkdir()
    out.mkdir()
    onnx.save(model, weights / "net.onnx")
    reader = OnnxReader(file="net.onnx")
    Provenance(source="a test", files={}, reader=reader, licence="none", use="any").write(weights)
    step = AdoptOnnx(model=OnnxGraph(outputs=outputs), export=export or globals()["export"](), preprocess=preprocess)
    step.run({"weights": weights}, out, context)
    return Bundle.read(out)


def published(context: Context, image: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What the untouched file computes of one image."""
    with OnnxRuntime().open(context.root / "weights", threads=1, file="net.onnx") as runner:
        return runner({next(iter(runner.inputs)): image})


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", [8, 11, 13, 17])
def test_an_older_graph_is_brought_to_the_wanted_opset_and_computes_the_same_in_any_batch(
    opset: int, context: Context, compute: Any
) -> None:
    bundle = adopt(graph(opset), context)
    made = bundle.graph
    assert [(one.domain, one.version) for one in made.opset_import] == [("", 17)] and made.ir_version == 9
    assert [value.name for value in made.graph.input] == ["image"], (
        "the input has the name that the recipe gives it, and constants are none"
    )
    assert {value.name: dims(value) for value in made.graph.output} == {"maps": ["batch", 4, 4, 4], "found": ["batch", 16, 4]}
    assert bundle.preprocess == PREPROCESS
    images = np.random.default_rng(3).normal(0, 1, (3, 3, 8, 8)).astype(np.float32)
    together = compute(made, images)
    for index, image in enumerate(images):
        alone = published(context, image[None])
        assert all(np.abs(together[name][index] - alone[name][0]).max() < 1e-5 for name in OUTPUTS)


def test_a_graph_in_a_newer_opset_stays_in_it(context: Context) -> None:
    assert adopt(graph(19), context).graph.opset_import[0].version == 19


def test_a_graph_that_takes_any_batch_is_left_as_it_is(context: Context) -> None:
    made = adopt(graph(batch="n"), context).graph
    assert dims(made.graph.input[0]) == ["n", 3, 8, 8]


def test_only_the_outputs_that_are_wanted_come_out_in_the_recipes_order(context: Context) -> None:
    assert [value.name for value in adopt(graph(), context, outputs={"found": 4}).graph.graph.output] == ["found"]


def test_a_batch_that_stays_fixed_is_that_of_the_file(context: Context) -> None:
    made = adopt(graph(), context, export=export(()))
    assert dims(made.graph.graph.input[0]) == [1, 3, 8, 8] and dims(made.graph.graph.output[0]) == [1, 4, 4, 4]


def mixing() -> onnx.ModelProto:
    """A graph whose images are not apart: of each the mean of all is taken, so that every shape is right."""
    nodes = [
        helper.make_node("ReduceMean", ["maps"], ["mean_of_all"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["maps", "mean_of_all"], ["mixed"]),
    ]
    return graph(more=nodes, outputs=["mixed"])


def test_a_graph_that_mixes_the_images_of_a_batch_is_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match=r"one image at a time.*mixed differs") as caught:
        adopt(mixing(), context, outputs={"mixed": 4})
    assert "leave `batch` out of `dynamic:`" in caught.value.hint


def test_a_graph_that_cannot_run_two_images_is_refused(context: Context) -> None:
    # its shape is computed: the batch stands where nobody looks for it
    shape = numpy_helper.from_array(np.array([1, 4, 2, 8], np.int64))
    nodes = [
        helper.make_node("Constant", [], ["written"], value=shape),
        helper.make_node("Identity", ["written"], ["computed"]),
        helper.make_node("Reshape", ["maps", "computed"], ["wide"]),
    ]
    model = graph(more=nodes, outputs=["wide"])
    for size, dimension in zip((1, 4, 2, 8), model.graph.output[-1].type.tensor_type.shape.dim, strict=True):
        dimension.dim_value = size
    with pytest.raises(StepFailed, match="one image at a time"):
        adopt(model, context, outputs={"wide": 4})


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"find": 4}, "the graph has no output 'find'"),
        ({"found": 17}, r"the output 'found' of the published graph has the shape \[1, 16, 4\], and no 17 channels"),
    ],
)
def test_outputs_that_the_file_does_not_have_are_refused(outputs: dict[str, int], said: str, context: Context) -> None:
    with pytest.raises(StepFailed, match=said):
        adopt(graph(), context, outputs=outputs)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (export(("batch", "height")), "the height of the published graph's input is 8, and no other"),
        (export(shape=(1, 3, 8, 16)), r"axis 3 of the input 'image' is 8 in the graph and cannot be 16"),
    ],
)
def test_sizes_that_the_file_does_not_take_are_refused(wanted: Export, said: str, context: Context) -> None:
    with pytest.raises(StepFailed, match=said):
        adopt(graph(), context, export=wanted)


def test_a_graph_of_several_images_at_once_is_refused(context: Context) -> None:
    with pytest.raises(StepFailed, match="written for 4 images at once"):
        adopt(graph(batch=4), context)


def test_a_batch_norm_that_has_statistics_by_place_is_not_taken_for_another(context: Context) -> None:
    model = graph(8)
    for constant in model.graph.initializer:
        if constant.name in ("scale", "shift", "mean", "var"):
            constant.CopyFrom(numpy_helper.from_array(np.ones((4, 4, 4), np.float32), constant.name))
    with pytest.raises(StepFailed, match=r"does not bring the graph from opset 8 to 17: .*spatial"):
        adopt(model, context)


def test_what_the_opset_changes_in_the_values_is_found(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]) * 1.01, "w"))
        model.opset_import[0].version = opset
        return model

    monkeypatch.setattr("onnx.version_converter.convert_version", wrong)
    with pytest.raises(StepFailed, match="does not compute what the published one does: maps differs by"):
        adopt(graph(13), context)


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfenothing", "cannot be read as an ONNX file"), (b"", "there is no graph in it")])
def test_what_is_no_onnx_file_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(StepFailed, match=said):
        OnnxReader(file="net.onnx").read(tmp_path)


MODEL = "model: {type: lightweight_openpose, refinement_stages: 1, channels: 8}"
READER = "reader: {type: pth, file: tiny.pth}"
WHOLE = (
    (MODEL, "model: {type: onnx, outputs: {first: 19, second: 38}, keypoints: 18, stride: 8, size: [64, 64]}"),
    (READER, "reader: {type: onnx, file: tiny.onnx}"),
    ("      - name: tiny.pth\n        path: tiny.pth\n", "      - name: tiny.onnx\n        path: tiny.onnx\n"),
    ("  shape: [1, 3, 64, 64]\n", "  shape: [1, 3, 64, 64]\n  dynamic: [batch]\n"),
    ("fit: {type: height, height: 64, multiple: 8, place: center, min_width: 64}", "fit: {type: stretch, width: 64, height: 64}"),
    ("  - type: onnxsim\n", "  - {type: rename, names: {first: heat, second: pafs}}\n"),
    ("heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs", "heatmaps: heat, pafs: pafs"),
)  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A workspace whose recipe `tiny` is an ONNX file, in the current folder."""
    small = Small.make(tmp_path)
    small.recipe(*WHOLE)
    small.images(1)
    random = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(random.normal(0, 0.05, (channels, 3, 8, 8)).astype(np.float32), name)
        for name, channels in (("a", 19), ("b", 38))
    ]
    nodes = [
        helper.make_node("Conv", ["x", weight], [out], strides=[8, 8], kernel_shape=[8, 8])
        for weight, out in (("a", "first"), ("b", "second"))
    ]
    floats = onnx.TensorProto.FLOAT
    outputs = [helper.make_tensor_value_info(name, floats, [1, channels, 8, 8]) for name, channels in (("first", 19), ("second", 38))]
    made = helper.make_graph(nodes, "tiny", [helper.make_tensor_value_info("x", floats, [1, 3, 64, 64])], outputs, constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), tmp_path / "tiny.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return small


def test_a_recipe_of_an_onnx_file_is_built_without_torch_and_held_against_the_published_file(
    small: Small, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = zoo("build", "tiny", "-t", "onnxruntime-fp32")
    assert said.code == 0, said.err
    report = json.loads((small.artifact("tiny/parity") / "report.json").read_text())
    pairs = {(one["reference"], one["candidate"], one["output"]) for one in report["comparisons"]}
    assert pairs == {
        ("published ONNX", "exported ONNX", "first"), ("published ONNX", "exported ONNX", "second"),
        ("published ONNX", "edited ONNX", "heat"), ("published ONNX", "edited ONNX", "pafs"),
    }  # fmt: skip
    assert zoo("show", "tiny").code == 0


def test_parity_finds_what_the_adopted_graph_computes_otherwise_than_the_file(small: Small, zoo: Zoo, context: Context) -> None:
    assert zoo("build", "tiny", "-t", "onnxruntime-fp32").code == 0
    bundle, wrong, out = Bundle.read(small.artifact("tiny/export")), small.root / "wrong", small.root / "out"
    for constant in bundle.graph.graph.initializer:
        constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) * 1.001, constant.name))
    for folder in (wrong, out):
        folder.mkdir()
    bundle.write(wrong)
    given = {"weights": small.artifact("tiny/fetch"), "exported": small.artifact("tiny/export"), "model": wrong}
    model = OnnxGraph(outputs={"first": 19, "second": 38})
    step = MeasureParity(model=model, gate=Gate(relative=1e-4), views=Views(dataset=Folder(images="other")), images=1)
    step.run(given, out, context)
    report = reports.read(out)
    assert isinstance(report, reports.Parity) and "edited ONNX" in step.verdict(out)
    assert {one.candidate: one.passed for one in report.comparisons} == {"exported ONNX": True, "edited ONNX": False}


def test_a_file_of_ones_own_takes_the_place_of_the_published_one(small: Small, zoo: Zoo) -> None:
    (small.root / "tiny.onnx").rename(small.root / "mine.onnx")
    said = zoo("build", "tiny", "-t", "onnxruntime-fp32", "--weights", "mine.onnx")
    assert said.code == 0, said.err


def test_weights_of_the_other_kind_are_refused(small: Small, zoo: Zoo) -> None:
    (small.root / "mine.pth").touch()
    said = zoo("build", "tiny", "--weights", "mine.pth")
    assert said.code == 2 and "mine.pth is not for tiny: that is an ONNX file, and takes no other" in said.err
    small.recipe()
    said = zoo("build", "tiny", "--weights", "tiny.onnx")
    assert said.code == 2 and "tiny.onnx is not for tiny: that has weights of its own network, and takes no ONNX file" in said.err


@pytest.mark.parametrize("words", [(), ("--rehearse",)])
def test_a_file_that_cannot_be_had_is_not_rehearsed(small: Small, zoo: Zoo, words: tuple[str, ...]) -> None:
    (small.root / "tiny.onnx").unlink()
    said = zoo("build", "tiny", "-t", "onnxruntime-fp32", "--offline", *words)
    assert said.code == 4 and "`--rehearse` is no way" in said.err, said.err


TORCHSCRIPT = ("  dynamic: [batch]\n", "  dynamic: [batch]\n  torchscript: net.pt\n")
PTH = ("reader: {type: onnx, file: tiny.onnx}", "reader: {type: pth, file: tiny.onnx}")


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (PTH, "weights[0].reader", "this model takes the graph itself, as {type: onnx, file: NAME.onnx} reads it"),
        (TORCHSCRIPT, "export.torchscript", "a model that is an ONNX file has no PyTorch module to trace"),
        (("outputs: {first: 19,", "outputs: {first: 12,"), "decode.heatmaps", "heat has 12 channels, the decoder reads 18"),
        (("keypoints: 18,", ""), "decode", "the decoder's skeleton openpose_18 has 18 keypoints, the model finds 0"),
        (("  dynamic: [batch]\n", ""), "export", "the network takes 64x64 alone: say `dynamic: [batch]`, without height and width"),
    ],
)
def test_what_does_not_fit_an_onnx_file_is_a_fault_at_its_place(
    change: tuple[str, str], path: str, message: str, small: Small, zoo: Zoo
) -> None:
    small.recipe(text=changed(changed(RECIPE, *WHOLE), change))
    assert f"{path}: {message}\n" in zoo("check", "tiny").out


def test_a_network_of_ours_takes_no_onnx_file(small: Small, zoo: Zoo) -> None:
    small.recipe((READER, "reader: {type: onnx, file: tiny.pth}"))
    assert "weights[0].reader: this model takes a state dict, and an ONNX file gives none\n" in zoo("check", "tiny").out


def test_a_transposed_convolution_between_dequantised_tensors_is_known_to_compute_in_float32(context: Context) -> None:
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(0, 0.2, (4, 4, 2, 2)).astype(np.float32), "up")
    node = helper.make_node("ConvTranspose", ["maps", "up"], ["larger"], "deconv", kernel_shape=[2, 2], strides=[2, 2])
    model = graph(more=[node], outputs=["larger"])
    model.graph.initializer.append(weight)
    for axis in (2, 3):
        model.graph.output[-1].type.tensor_type.shape.dim[axis].dim_value = 8
    onnx.save(adopt(model, context, outputs={"larger": 4}).graph, context.root / "float.onnx")
    noise = {"image": np.random.default_rng(0).normal(0, 1, (1, 3, 8, 8)).astype(np.float32)}
    quantize(context.root / "float.onnx", context.root / "model.onnx", [noise], calibrator=MinMax(), scheme="u8s8", context=context)
    with OnnxRuntime().open(context.root, threads=1) as runner:
        assert runner.computed_in in ("int8 (1 of 2), fp32", "fp32 (1 of 2), int8")


#: outputs, input, size and preprocessing of the reference files
FILES = {
    "rtmdet-nano-person-320": ({"1211": 5, "1213": 5, "1215": 5}, 320, 320),
    "yolox-nano-416": ({"output": 85}, 416, 416),
    "ultralight-simplepose-256x192": ({"hybridsequential0_conv7_fwd": 17}, 256, 192),
}


@pytest.mark.assets
@pytest.mark.parametrize("name", FILES)
def test_the_published_networks_become_graphs_of_every_precision(name: str, assets: Path, context: Context) -> None:
    outputs, height, width = FILES[name]
    preprocess = Preprocess(fit=Stretch(width=width, height=height), colour="bgr", mean=(114, 114, 114), std=(57, 57, 57))
    model = onnx.load(assets / "weights" / f"{name}.onnx")
    bundle = adopt(model, context, outputs=outputs, export=export(shape=(1, 3, height, width)), preprocess=preprocess)
    simple, _ = OnnxSim().apply(bundle.graph, preprocess)
    half(simple)
    source = context.root / "simple.onnx"
    onnx.save(simple, source)
    noise = {"image": np.random.default_rng(0).normal(0, 1, (1, 3, height, width)).astype(np.float32)}
    done = quantize(source, context.root / "int8.onnx", iter([noise]), calibrator=MinMax(), scheme="s8s8", context=context)
    assert done.tensors > 50
