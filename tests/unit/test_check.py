"""What a schema cannot say of a recipe: whether its parts fit each other and the workspace. Each fault at its place."""

import shutil
from pathlib import Path

import pytest
from workspaces import RECIPE, Small, changed, position

from zoo.errors import RecipeError
from zoo.recipe.overlaps import overlaps
from zoo.recipe.workspace import open_place, read_recipe


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.make(tmp_path)


def faults(small: Small, *changes: tuple[str, str]) -> tuple[str, list[str]]:
    """The changed recipe, and its faults as `line:column: path: message`."""
    text = small.recipe(*changes)
    path = small.root / "recipes" / "tiny.yaml"
    try:
        read_recipe(path, open_place(str(small.root)))
    except RecipeError as error:
        assert all(problem.file == str(path) for problem in error.problems)
        return text, [str(problem).removeprefix(f"{path}:") for problem in error.problems]
    return text, []


def test_the_recipe_of_these_tests_has_no_fault(small: Small) -> None:
    assert faults(small) == (RECIPE, [])


TARGET = "  onnxruntime-fp32:\n"
LAST = "    datasets: [coco_val2017, coco_train2017]\n"
ANOTHER = "  - protocol: {}\n    title: Another\n    datasets: [{}]\n"
LAZY = "    decode: {type: paf, heatmaps: stage_1_output_1_heatmaps, pafs: stage_1_output_0_pafs, resolution: lazy}\n"

CASES = {
    "unknown target": (
        (TARGET, "  onnxruntime-fp23:\n"),
        "targets.onnxruntime-fp23", "there is no target 'onnxruntime-fp23'; did you mean onnxruntime-fp32?",
    ),
    "unknown dataset of an evaluation": (
        ("[coco_val2017, coco_train2017]", "[coco_val2017, coco_test2017x]"),
        "evaluate[0].datasets[1]", "there is no dataset 'coco_test2017x'; did you mean coco_",
    ),
    "unknown dataset of the calibration": (
        ("dataset: other,", "dataset: others,"),
        "calibration.dataset", "there is no dataset 'others'; did you mean other?",
    ),
    "a metric of other poses than the decoder gives": (
        (LAST, LAST + "    metric: {type: hand_pck}\n"),
        "evaluate[0].metric", "openpose_18 is not one hand",
    ),
    "unknown output of the network": (
        ("heatmaps: stage_1_output_1_heatmaps", "heatmaps: stage_2_output_1_heatmaps"),
        "decode.heatmaps", "there is no output 'stage_2_output_1_heatmaps'; did you mean stage_",
    ),
    "an output that an edit has taken away": (
        ("  - type: onnxsim\n", "  - type: onnxsim\n  - {type: keep_outputs, outputs: [stage_1_output_1_heatmaps]}\n"),
        "decode.pafs", "there is no output 'stage_1_output_0_pafs'; did you mean stage_1_output_1_heatmaps?",
    ),
    "an output that an edit has renamed": (
        ("  - type: onnxsim\n", "  - type: rename\n    names: {stage_1_output_0_pafs: pafs}\n"),
        "decode.pafs", "there is no output 'stage_1_output_0_pafs'; did you mean",
    ),
    "keypoint counts that disagree": (
        ("channels: 8}", "channels: 8, num_heatmaps: 18}"),
        "decode", "the decoder's skeleton openpose_18 has 18 keypoints, the model finds 17",
    ),
    "limbs that disagree": (
        ("channels: 8}", "channels: 8, num_pafs: 36}"),
        "decode.pafs", "stage_1_output_0_pafs has 36 channels, the decoder reads 38",
    ),
    "an example input that the network cannot take": (
        ("shape: [1, 3, 64, 64]", "shape: [1, 3, 64, 60]"),
        "export.shape", "the network takes heights and widths that are multiples of 8, not 64x60",
    ),
    "an example input that is no image": (
        ("shape: [1, 3, 64, 64]", "shape: [1, 1, 64, 64]"),
        "export.shape", "an image has 3 channels, not 1",
    ),
    "a size of the benchmark that the network cannot take": (
        ("{height: 64, width: 64}\n", "{height: 65, width: 64}\n"),
        "benchmark", "multiples of 8, not 65x64",
    ),
    "a fixed shape that the network cannot take": (
        (TARGET, "  onnxruntime-fp32: {shape: [64, 100]}\n"),
        "targets.onnxruntime-fp32.shape", "multiples of 8, not 64x100",
    ),
    "a fit that the network cannot take": (
        ("height: 64, multiple: 8,", "height: 64, multiple: 6,"),
        "preprocess.fit", "multiples of 8",
    ),
    "keep on a target that quantises nothing": (
        (TARGET, "  onnxruntime-fp32: {keep: [conv]}\n"),
        "targets.onnxruntime-fp32.keep", "only int8 targets keep nodes in float, and onnxruntime-fp32 is fp32",
    ),
    "int8 without a gate of its own": (
        (TARGET, "  onnxruntime-int8:\n"),
        "targets.onnxruntime-int8", "int8 has no default parity gate: say one",
    ),
    "int8 without calibration": (
        ("calibration: {dataset: other, images: 2, method: {type: minmax}}\n", ""), (TARGET, "  onnxruntime-int8: {parity: {snr: 9}}\n"),
        "targets.onnxruntime-int8", "an int8 target needs `calibration:`",
    ),
    "a looser gate without a reason": (
        (TARGET, "  onnxruntime-fp32: {parity: {relative: 0.01}}\n"),
        "targets.onnxruntime-fp32.parity", "this gate is looser than the workspace's: say why with `reason:`",
    ),
    "a looser gate in decibels without a reason": (
        (TARGET, "  onnxruntime-fp16: {parity: {snr: 39.9}}\n"),
        "targets.onnxruntime-fp16.parity", "this gate is looser than the workspace's",
    ),
    "another measure without a reason": (
        (TARGET, "  onnxruntime-fp32: {parity: {snr: 90}}\n"),
        "targets.onnxruntime-fp32.parity", "this gate is looser than the workspace's",
    ),
    "a name that is not the file's": (
        ("name: tiny\n", "name: teeny\n"),
        "name", "the file is called tiny: name and file must agree",
    ),
    "two protocols of one name": (
        (LAST, LAST + "  - protocol: original\n    title: Again\n    datasets: [coco_val2017]\n"),
        "evaluate[1].protocol", "two protocols are called original",
    ),
    "a protocol that is held against none that there is": (
        (LAST, LAST + "    against: lasy\n" + ANOTHER.format("lazy", "coco_val2017")),
        "evaluate[0].against", "there is no other protocol of this recipe 'lasy'; did you mean lazy?",
    ),
    "a protocol that is held against itself": (
        (LAST, LAST + "    against: original\n"),
        "evaluate[0].against", "a protocol cannot be held against itself",
    ),
    "protocols that are judged on different images": (
        (LAST, "    datasets: [coco_train2017]\n    against: lazy\n" + ANOTHER.format("lazy", "coco_val2017")),
        "evaluate[0].against", "lazy is judged on none of these datasets",
    ),
    "protocols that are judged by different metrics": (
        (LAST, LAST + ANOTHER.format("other", "coco_val2017") + "    metric: {type: coco_oks, max_detections: 3}\n    against: original\n"),
        "evaluate[1].against", "original is judged by another metric",
    ),
    "scales of a decoder that enlarges no maps": (
        (LAST, LAST + LAZY + "    scales: [0.5, 1]\n"),
        "evaluate[0].scales", "maps of several scales have no common cells to be searched: `resolution: full` averages them",
    ),
    "a lazy decoder where the recipe has scales": (
        (LAST, LAST + LAZY), ("calibration: {", "scales: [0.5, 1]\ncalibration: {"),
        "evaluate[0].decode", "maps of several scales have no common cells to be searched",
    ),
    "scales of maps that are not laid over the image": (
        (LAST, LAST + LAZY.replace("resolution: lazy", "over_image: false") + "    scales: [0.5, 1]\n"),
        "evaluate[0].scales", "have no common size to be averaged at: `over_image: true`",
    ),
    "a gate on a dataset that is not evaluated": (
        (LAST, LAST + "    gates: {coco_val: {AP: 0.3}}\n"),
        "evaluate[0].gates.coco_val", "there is no dataset of this protocol 'coco_val'; did you mean coco_val2017?",
    ),
    "calibration on what judges it": (
        ("dataset: other,", "dataset: coco_train2017,"),
        "calibration.dataset", "the recipe is evaluated on coco_train2017: calibrating on it would flatter the figures",
    ),
    "a file of the reader that no source brings": (
        ("reader: {type: pth, file: tiny.pth}", "reader: {type: pth, file: tinny.pth}"),
        "weights[0].reader.file", "there is no file 'tinny.pth'; did you mean tiny.pth?",
    ),
    "a target's edits that leave out what is decoded": (
        (TARGET, "  openvino-fp32-folded: {edits: [{type: keep_outputs, outputs: [stage_1_output_0_pafs]}]}\n"),
        "targets.openvino-fp32-folded.edits", "these leave out what is decoded: stage_1_output_1_heatmaps",
    ),
    "weights that nothing reads": (
        ("    reader: {type: pth, file: tiny.pth}\n", ""),
        "weights[0]", "say with `reader:` how",
    ),
}  # fmt: skip

#: words to find the place by, where it is not the last key of the path
PLACES = {
    "unknown dataset of an evaluation": "coco_test2017x",
    "unknown dataset of the calibration": "others",
    "unknown target": "onnxruntime-fp23",
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_reported_at_its_place_with_what_to_do(small: Small, name: str) -> None:
    *changes, path, message = CASES[name]
    text, found = faults(small, *changes)  # type: ignore[arg-type]
    assert len(found) == 1, found
    where, _, said = found[0].partition(": ")
    assert said.startswith(f"{path}: ") and message in said
    line, column = map(int, where.split(":"))
    key = str(path).rpartition(".")[2].partition("[")[0]
    around = "\n".join(text.splitlines()[max(0, line - 4) : line])
    assert (PLACES.get(name) or key) in around, "the place is not where the fault is"
    assert 1 <= column <= len(text.splitlines()[line - 1])


def test_places_are_exact(small: Small) -> None:
    text, found = faults(small, ("coco_train2017]", "coco_tain2017]"))
    assert found[0].startswith(position(text, "coco_tain2017") + ": ")


def test_a_protocol_may_be_held_against_one_that_comes_later(small: Small) -> None:
    assert faults(small, (LAST, LAST + "    against: lazy\n" + ANOTHER.format("lazy", "coco_val2017") + LAZY))[1] == []


def test_nothing_is_said_of_a_pair_whose_other_protocol_has_a_fault_of_its_own(small: Small) -> None:
    _, (found,) = faults(small, (LAST, LAST + "    against: lazy\n" + ANOTHER.format("lazy", "coco_val2017") + "    scales: [no]\n"))
    assert "evaluate[1].scales[0]" in found


@pytest.mark.parametrize(
    "options",
    [
        "onnxruntime-fp32: {parity: {relative: 0.0001}}",
        "onnxruntime-fp32: {parity: {relative: 0.01, reason: why}}",
        "onnxruntime-fp16: {parity: {snr: 60}}",
        "onnxruntime-int8: {parity: {snr: 3}, keep: [conv*]}",
        "openvino-fp32-folded: {batch: 2}",
    ],
)
def test_what_is_right_is_not_reported(small: Small, options: str) -> None:
    assert faults(small, (TARGET, f"  {options}\n"))[1] == []


FIT = "fit: {type: height, height: 64, multiple: 8, place: center, min_width: 64}"


def test_fixed_shape_is_right_where_the_fit_gives_it(small: Small) -> None:
    fixed = (TARGET, "  openvino-fp32-folded: {shape: [64, 128], batch: 2}\n")
    assert faults(small, fixed, (FIT, "fit: {type: stretch, width: 128, height: 64}"))[1] == []


@pytest.mark.parametrize(
    ("fit", "given"), [(FIT, "sizes that depend on the image"), ("fit: {type: letterbox, width: 128, height: 128}", "128x128")]
)
def test_fixed_shape_that_the_fit_does_not_give_is_reported(small: Small, fit: str, given: str) -> None:
    _, (found,) = faults(small, (TARGET, "  onnxruntime-fp32: {shape: [64, 128]}\n"), (FIT, fit))
    assert found.endswith(f"64x128 is all that goes in, and the recipe's own fit gives {given}")


STRETCHED = (FIT, "fit: {type: stretch, width: 64, height: 64}")
ONE_SIZE = ("  shape: [1, 3, 64, 64]\n", "  shape: [1, 3, 64, 64]\n  dynamic: [batch]\n")
PROTOCOL = "  - protocol: original\n"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (("benchmark: {height: 64, width: 64}", "benchmark: {height: 64, width: 128}"), "benchmark"),
        ((PROTOCOL, f"{PROTOCOL}    {FIT}\n"), "evaluate[0].fit"),
        ((PROTOCOL, f"{PROTOCOL}    scales: [0.5, 1]\n"), "evaluate[0].scales"),
        (("decode: {type: paf", "scales: [0.5, 1]\ndecode: {type: paf"), "scales"),
    ],
)
def test_what_a_graph_of_one_size_can_never_be_given_is_reported(small: Small, change: tuple[str, str], path: str) -> None:
    assert faults(small, STRETCHED, ONE_SIZE)[1] == []
    assert faults(small, STRETCHED, change)[1] == [], "a graph that takes any size"
    _, (found,) = faults(small, STRETCHED, ONE_SIZE, change)
    assert found.split(": ")[1] == path and "64x64 is all that goes in" in found


def test_scales_of_a_recipe_do_not_go_into_a_target_of_a_fixed_shape(small: Small) -> None:
    fixed, scales = (TARGET, "  onnxruntime-fp32: {shape: [64, 64]}\n"), "scales: [0.5, 1]\n"
    _, (found,) = faults(small, STRETCHED, fixed, ("decode: {type: paf", f"{scales}decode: {{type: paf"))
    assert "scales: 64x64 is all that goes in (targets.onnxruntime-fp32.shape)" in found
    # a protocol may have them: this target is not judged in it, and others are
    assert faults(small, STRETCHED, fixed, (PROTOCOL, f"{PROTOCOL}    {scales}"))[1] == []


def test_all_faults_are_reported_at_once_in_the_order_of_their_lines(small: Small) -> None:
    text, found = faults(
        small,
        ("name: tiny\n", "name: teeny\n"),
        ("shape: [1, 3, 64, 64]", "shape: [1, 3, 64, 60]"),
        (TARGET, "  onnxruntime-fp23:\n  onnxruntime-fp16: {keep: [conv], parity: {snr: 30}}\n"),
        ("dataset: other,", "dataset: others,"),
        ("heatmaps: stage_1", "heatmaps: stage_3"),
        ("[coco_val2017, coco_train2017]", "[coco_val2017, coco_tain2017]"),
    )
    paths = [line.split(": ")[1] for line in found]
    assert paths == [
        "name", "export.shape", "targets.onnxruntime-fp23", "targets.onnxruntime-fp16.keep", "targets.onnxruntime-fp16.parity",
        "calibration.dataset", "decode.heatmaps", "evaluate[0].datasets[1]",
    ]  # fmt: skip
    lines = [int(line.split(":")[0]) for line in found]
    assert lines == sorted(lines) and len(text.splitlines()) >= lines[-1]


def test_faults_of_form_and_of_fit_are_reported_together(small: Small) -> None:
    _, found = faults(
        small,
        ("task: body_pose\n", "task: body_pose\nlicense: MIT\n"),
        ("  mean: [128, 128, 128]\n", "  mean: [128, 128]\n"),
        (TARGET, "  onnxruntime-fp23: {keeep: [x]}\n  onnxruntime-fp16: {keep: [conv]}\n"),
        ("dataset: other, images: 2", "dataset: others, images: 2"),
        ("heatmaps: stage_1", "heatmaps: stage_3"),
        ("benchmark: {height: 64, width: 64}", "benchmark: {height: 63, width: 64}"),
    )
    paths = [line.split(": ")[1] for line in found]
    assert paths == [
        "license", "preprocess.mean", "targets.onnxruntime-fp23", "targets.onnxruntime-fp23.keeep", "targets.onnxruntime-fp16.keep",
        "calibration.dataset", "decode.heatmaps", "benchmark",
    ]  # fmt: skip


def test_nothing_is_made_up_about_a_part_that_is_not_well_formed(small: Small) -> None:
    _, found = faults(
        small,
        (TARGET, "  onnxruntime-int8: {parity: {snr: much}}\n"),
        ("images: 2, method", "images: two, method"),
        ("channels: 8}", "chanels: 8}"),
    )
    paths = [line.split(": ")[1] for line in found]
    assert paths == ["model.chanels", "targets.onnxruntime-int8.parity.snr", "calibration.images"]


@pytest.mark.parametrize("text", ["- 1\n", "42\n", "targets: 3\nevaluate: {a: 1}\nformat: 1\n", "format: one\n"])
def test_a_document_of_another_shape_is_refused_and_no_bug(small: Small, text: str) -> None:
    small.recipe(text=text)
    with pytest.raises(RecipeError):
        read_recipe(small.root / "recipes" / "tiny.yaml", open_place(str(small.root)))


@pytest.mark.parametrize(("version", "advice"), [("2", "update the zoo"), ("0", "write it anew in format 1: `zoo new`")])
def test_an_unknown_version_of_the_format_is_refused_with_what_to_do(small: Small, version: str, advice: str) -> None:
    # of a format that is not ours nothing else can be said, so nothing else is
    _, found = faults(small, ("format: 1\n", f"format: {version}\n"), ("task: body_pose", "job: body_pose"))
    assert len(found) == 1
    assert found[0].startswith("1:9: format: this zoo reads format 1, not ") and advice in found[0]


def test_an_unknown_version_of_the_workspace_is_refused_with_what_to_do(small: Small) -> None:
    path = small.root / "zoo.yaml"
    path.write_text(path.read_text().replace("format: 1", "format: 3"))
    with pytest.raises(RecipeError, match=r"zoo\.yaml:1:9: format: this zoo reads format 1, not 3: update the zoo"):
        open_place(str(small.root))


def test_an_image_under_another_name_in_the_evaluation_set_is_found_by_its_content(small: Small) -> None:
    images = small.images()
    place = open_place(str(small.root))
    path = small.root / "recipes" / "tiny.yaml"
    recipe = read_recipe(path, place)
    assert overlaps(path, recipe, place.declared, place.context(offline=True)) == []
    shutil.copy(images[1], small.root / "other" / "holiday.jpg")
    (problem,) = overlaps(path, recipe, place.declared, place.context(offline=True))
    assert f"{problem.line}:{problem.column}" == position(changed(RECIPE), "other, images")
    assert problem.message == (
        "1 images of other are in coco_val2017, which the recipe is evaluated on: holiday.jpg"
        " (calibrate on others, or say `leave_out: true`)"
    )
