"""`zoo emit`: a target of a recipe, in the words of Vastai's tools."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest
import yaml
from workspaces import RECIPE, Small

from zoo.cli import run
from zoo.engine.execute import execute
from zoo.engine.plan import plan
from zoo.engine.store import Store
from zoo.engine.wish import Wish
from zoo.interop import process_ops
from zoo.interop.emit import convolutions
from zoo.pose import vdsp
from zoo.pose.fits import Stretch
from zoo.pose.preprocess import Preprocess
from zoo.recipe.workspace import open_place, read_recipe

ROOT = Path(__file__).parents[2]
OWN = re.search(r"^preprocess:\n(?:  .*\n)+", RECIPE, re.M)[0]  # type: ignore[index]
STRETCH = """\
preprocess:
  fit: {type: stretch, width: 64, height: 64}
  colour: bgr
  mean: [128, 128, 128]
  std: [256, 256, 256]
"""
TARGETS = """\
  onnxruntime-fp32:
  onnxruntime-fp16: {batch: 4}
  onnxruntime-int8: {parity: {snr: 10, reason: small}}
  openvino-fp32-folded: {shape: [64, 64], edits: [{type: fold_preprocess}]}
  openvino-int8:
    keep: ["*/model/model.0/*"]
    edits: [{type: fold_preprocess}]
    parity: {snr: 10, reason: small}
"""
SAID = Preprocess(fit=Stretch(width=64, height=64), mean=(128, 128, 128), std=(256, 256, 256))


class Said(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


Emit = Callable[..., Said]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    small = Small.make(tmp_path)
    small.recipe((OWN, STRETCH), ("  onnxruntime-fp32:\n", TARGETS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOO_WORKSPACE", raising=False)
    return small


@pytest.fixture
def emit(capfd: pytest.CaptureFixture[str]) -> Emit:
    def call(*words: str) -> Said:
        capfd.readouterr()
        code = run(["emit", *words])
        return Said(code, *capfd.readouterr())

    return call


def test_vdsp_says_what_the_recipe_does(small: Small, emit: Emit) -> None:
    said = emit("vdsp", "tiny")
    assert said.code == 0, said.err
    assert vdsp.read(json.loads(said.out)) == SAID


def test_what_a_target_folds_into_its_graph_is_not_said_again(small: Small, emit: Emit) -> None:
    said = emit("vdsp", "tiny", "--target", "openvino-fp32-folded")
    assert vdsp.read(json.loads(said.out)) == SAID.folded()
    assert vdsp.read(json.loads(emit("vdsp", "tiny", "-t", "onnxruntime-fp32").out)) == SAID


def test_vamc_builds_the_same_target(small: Small, emit: Emit) -> None:
    small.images()
    said = emit("vamc", "tiny", "-t", "onnxruntime-int8")
    assert said.code == 0, said.err
    read = yaml.safe_load(said.out)
    assert read["name"] == "tiny_int8"
    assert read["frontend"] == {"shape": {"data": [1, 3, 64, 64]}, "type": "onnx", "checkpoint": "tiny.onnx", "dtype": "fp32"}
    assert read["backend"] == {
        "type": "tvm_vacc",
        "dtype": "int8",
        "compile": {"cluster_mode": 0},
        "quantize": {"calibrate_mode": "max", "quantize_per_channel": True},
    }
    assert read["dataset"]["path"] == str(small.root / "other")
    assert read["dataset"]["sampler"] == {"suffix": "png", "get_data_num": 2}
    assert process_ops.read(read["dataset"]["process_ops"]) == SAID
    assert set(read) == {"name", "frontend", "backend", "dataset", "workspace"}
    assert "zoo build tiny --target onnxruntime-int8" in said.out, "it is not built, and says how to"


def test_batch_and_precision_are_the_targets(small: Small, emit: Emit) -> None:
    read = yaml.safe_load(emit("vamc", "tiny", "-t", "onnxruntime-fp16").out)
    assert read["frontend"]["shape"] == {"data": [4, 3, 64, 64]}
    assert read["backend"]["dtype"] == "fp16" and "quantize" not in read["backend"]
    assert read["dataset"]["path"] == str(small.root / "other")


def test_an_input_is_called_as_the_edits_call_it(small: Small, emit: Emit) -> None:
    small.recipe((OWN, STRETCH), ("  onnxruntime-fp32:\n", TARGETS), ("batch: 4", "edits: [{type: rename, names: {data: pixels}}]"))
    read = yaml.safe_load(emit("vamc", "tiny", "-t", "onnxruntime-fp16").out)
    assert read["frontend"]["shape"] == {"pixels": [1, 3, 64, 64]}


@pytest.mark.parametrize(
    ("method", "mode", "unsaid"),
    [("minmax", "max", ""), ("percentile, percentile: 99.9", "percentile", "percentile 99.9"), ("entropy", "kl_divergence", "levels 128")],
)
def test_the_calibration_is_translated_and_what_has_no_word_is_a_comment(
    small: Small, emit: Emit, method: str, mode: str, unsaid: str
) -> None:
    change = ("method: {type: minmax}", f"method: {{type: {method}}}, per_channel: false, smooth: 0.5")
    small.recipe((OWN, STRETCH), ("  onnxruntime-fp32:\n", TARGETS), change)
    out = emit("vamc", "tiny", "-t", "onnxruntime-int8").out
    assert yaml.safe_load(out)["backend"]["quantize"] == {"calibrate_mode": mode, "quantize_per_channel": False}
    (comment,) = [line for line in out.splitlines() if "not said here" in line]
    assert comment.startswith("# ") and unsaid in comment and "smooth 0.5" in comment


def test_a_built_targets_graph_is_named_and_what_it_keeps_is_counted(small: Small, emit: Emit) -> None:
    pytest.importorskip("torch")
    small.images()
    small.weights()
    before = emit("vamc", "tiny", "-t", "openvino-int8")
    assert before.code == 2 and "takes the graph" in before.err and "zoo build tiny --target openvino-int8" in before.err
    small.recipe((OWN, STRETCH), ("  onnxruntime-fp32:\n", TARGETS), ('"*/model/model.0/*"', '"/model/model.0/*"'))
    place = open_place()
    actions = plan(read_recipe(place.find("tiny"), place), place, place.context(), Wish(targets=("openvino-int8",)))
    wanted = [action for action in actions if action.id.rpartition("/")[2] in ("fetch", "export", "edit")]
    assert {outcome.state for outcome in execute(wanted, Store(place.store), place.context()).values()} == {"made"}
    said = emit("vamc", "tiny", "-t", "openvino-int8")
    assert said.code == 0, said.err
    read = yaml.safe_load(said.out)
    model = onnx.load(read["frontend"]["checkpoint"])
    assert [value.name for value in model.graph.input] == [*read["frontend"]["shape"]]
    assert not any(node.op_type == "QuantizeLinear" for node in model.graph.node), "vamc quantises by itself"
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    skipped = read["backend"]["quantize"]["skip_conv_layers"]
    assert skipped and [convs[place] for place in skipped] == [name for name in convs if name.startswith("/model/model.0/")]
    assert process_ops.read(read["dataset"]["process_ops"]) == SAID.folded()


def test_convolutions_are_counted_from_0_among_themselves(network: Any) -> None:
    assert convolutions(network, ["stem", "la*", "relu1"]) == [0, 3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("vamc", "tiny"), "vamc builds one target"),
        (("vamc", "tiny", "-t", "onnxruntime-fp32"), "vamc builds int8 and fp16, and onnxruntime-fp32 is fp32"),
        (("vdsp", "tiny", "-t", "onnxruntime-fp31"), "did you mean onnxruntime-fp32?"),
        (("vdps", "tiny"), "'vdps' is not one of 'vamc', 'vdsp'"),
        (("vdsp", "tinny"), "did you mean tiny?"),
    ],
)
def test_what_cannot_be_done_says_what_can(small: Small, emit: Emit, words: tuple[str, ...], said: str) -> None:
    found = emit(*words)
    assert found.code == 2 and found.out == "" and said in found.err


@pytest.mark.parametrize("words", [("vdsp", "tiny"), ("vamc", "tiny", "-t", "onnxruntime-fp16")])
def test_what_a_format_cannot_say_is_told_with_the_nearest_and_nothing_is_written(small: Small, emit: Emit, words: tuple[str, ...]) -> None:
    small.recipe(("  onnxruntime-fp32:\n", TARGETS.replace("shape: [64, 64], ", "")))
    found = emit(*words, "--save", "out")
    assert found.code == 2 and not Path("out").exists()
    assert "order normalize_then_resize" in found.err and "the nearest that it can: fit: {type: letterbox" in found.err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtmpose_m", "a part of the image, as of the fit `box`"),
        ("simplepose", "a part of the image, as of the fit `box`"),
        ("rtmdet_nano_person", "place corner (it puts the image in the middle)"),
        ("yolox_nano", "place corner (it puts the image in the middle)"),
    ],
)
def test_neither_a_box_of_an_image_nor_an_image_in_the_corner_is_said(emit: Emit, name: str, reason: str) -> None:
    for words in (("vdsp", name), ("vamc", name, "-t", "onnxruntime-fp16")):
        found = emit(*words, "--workspace", str(ROOT))
        assert found.code == 2 and found.out == "" and reason in found.err and "the nearest that it can" in found.err


def test_a_file_takes_the_place_of_standard_output(small: Small, emit: Emit) -> None:
    found = emit("vdsp", "tiny", "--save", "made/vdsp.json")
    assert found.code == 0 and found.out == ""
    assert vdsp.read(json.loads(Path("made/vdsp.json").read_text())) == SAID
    assert [path.name for path in Path("made").iterdir()] == ["vdsp.json"]


def test_a_pipeline_has_no_input_of_its_own_and_its_parts_are_named(small: Small, emit: Emit) -> None:
    hand = RECIPE.replace("name: tiny\n", "name: hand\n").replace("task: body_pose", "task: hand_pose")
    hand = re.sub(r"^model: .*", "model: {type: openpose_hand}", hand, flags=re.M)
    hand = re.sub(r"^decode: .*", "decode: {type: hand_peaks, heatmaps: heatmaps}", hand, flags=re.M)
    hand = re.sub(r"^    datasets: .*", r"\g<0>\n    metric: {type: hand_pck}", hand, flags=re.M)
    (small.root / "recipes/hand.yaml").write_text(hand)
    (small.root / "recipes/both.yaml").write_text(
        "format: 1\nname: both\ntitle: Both\ntask: body_hand_pose\npipeline: {type: body_hands, body: tiny, hand: hand}\n"
        "targets: {onnxruntime-fp32: }\nbenchmark: {dataset: other}\n"
    )
    found = emit("vdsp", "both")
    assert found.code == 2 and "made of recipes" in found.err and "name one of them: tiny, hand" in found.err
