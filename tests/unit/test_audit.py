"""What an audit finds in other zoos' files: the samples' own faults, faults that are put in, and nothing where there is none."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from foreign_samples import CHECK, LETTERBOX, MMPOSE, OMZ, VAMC, vdsp, write

from zoo.cli import run
from zoo.errors import UsageError, ZooError
from zoo.interop.audit import Finding, audit
from zoo.pose.vdsp import read
from zoo.record import canonical

#: file, line, kind of everything that is wrong in the samples of $ZOO_ASSETS/foreign
TRUTH = [
    # a relative checkpoint and dataset; its JSON normalises to -1..1 and leaves Mean and Std, which the YAML uses, unused
    ("vamc/mmpose_hrnetpose.yaml", 6, "path"),
    ("vamc/mmpose_hrnetpose.yaml", 19, "path"),
    ("vdsp/mmpose-hrnet_pose-vdsp_params.json", 11, "unused"),
    ("vdsp/mmpose-hrnet_pose-vdsp_params.json", 21, "normalisation"),
    # placeholders; the chip turns RGB to BGR and the YAML has no colour step
    ("vamc/pytorch_openpose_body.yaml", 11, "path"),
    ("vamc/pytorch_openpose_body.yaml", 26, "path"),
    ("vdsp/pytorch-body-vdsp_params.json", 22, "colour"),
    ("vamc/pytorch_openpose_hand.yaml", 11, "path"),
    ("vamc/pytorch_openpose_hand.yaml", 26, "path"),
    ("vdsp/pytorch-hand-vdsp_params.json", 22, "colour"),
    # alibrate_mode; and placeholders
    ("vamc/ppcls_mobilenetv3.yaml", 11, "path"),
    ("vamc/ppcls_mobilenetv3.yaml", 22, "key"),
    ("vamc/ppcls_mobilenetv3.yaml", 27, "path"),
    # the resize is split in two, to a height of 368 and then to multiples of 8: the figure is not that of 256x456
    ("omz/human-pose-estimation-0001.accuracy-check.yml", 17, "shape"),
]
PAIRS = {
    ("vamc/mmpose_hrnetpose.yaml", "vdsp/mmpose-hrnet_pose-vdsp_params.json"),
    ("vamc/pytorch_openpose_body.yaml", "vdsp/pytorch-body-vdsp_params.json"),
    ("vamc/pytorch_openpose_hand.yaml", "vdsp/pytorch-hand-vdsp_params.json"),
    ("omz/human-pose-estimation-0001.yml", "omz/human-pose-estimation-0001.accuracy-check.yml"),
}


def short(findings: tuple[Finding, ...], top: Path) -> list[tuple[str, int, str]]:
    return [(str(Path(one.file).relative_to(top)), one.line, one.kind) for one in findings]


def kinds(*paths: Path) -> list[str]:
    return [one.kind for one in audit(paths).findings]


def line(path: Path, text: str) -> int:
    """The line on which a text stands."""
    return next(number for number, content in enumerate(path.read_text().splitlines(), 1) if text in content)


@pytest.mark.assets
def test_the_samples_faults_are_found_each_at_its_line_and_nothing_else(assets: Path) -> None:
    top = assets / "foreign"
    report = audit([top])
    assert sorted(short(report.findings, top)) == sorted(TRUTH)
    assert {(str(Path(one.one).relative_to(top)), str(Path(one.other).relative_to(top))) for one in report.pairs} == PAIRS
    assert report.files == {"accuracy_check": 1, "mmpose": 1, "open_model_zoo": 3, "vamc": 4, "vdsp": 3}
    texts = {(one.line, one.kind): one for one in report.findings}
    assert texts[22, "key"].hint == "did you mean calibrate_mode?"
    assert "DIV255_MINUSMEAN_DIVSTD would give" in texts[21, "normalisation"].hint
    assert texts[21, "normalisation"].other.endswith("vamc/mmpose_hrnetpose.yaml:32:13")


@pytest.mark.assets
@pytest.mark.parametrize(
    ("was", "wrong", "kind"),
    [
        pytest.param("            256,\n            256,", "            255,\n            256,", "normalisation", id="Std"),
        pytest.param('"MINUSMEAN_DIVSTD"', '"DIV255"', "normalisation", id="NormaType"),
        pytest.param('"OimageWidth": 184', '"OimageWidth": 192', "size", id="size"),
        pytest.param("RGB_RESIZE", "RGB_LETTERBOX", "resize", id="resize"),
        pytest.param("OpConfig", "OpConfg", "key", id="key"),
        pytest.param('"RGB2BGR"', '"RGB2BRG"', "value", id="word"),
    ],
)
def test_a_wrong_vdsp_in_a_copy_of_the_samples_is_found(assets: Path, tmp_path: Path, was: str, wrong: str, kind: str) -> None:
    top = shutil.copytree(assets / "foreign", tmp_path / "foreign")
    path = top / "vdsp/pytorch-body-vdsp_params.json"
    path.chmod(0o644)
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, wrong, 1))
    assert kind in [one.kind for one in audit([top]).findings if one.file == str(path) and one.kind not in ("colour", "unused")]


@pytest.mark.assets
def test_a_colour_code_that_no_longer_turns_agrees_with_a_yaml_without_a_colour_step(assets: Path, tmp_path: Path) -> None:
    top = shutil.copytree(assets / "foreign", tmp_path / "foreign")
    path = top / "vdsp/pytorch-body-vdsp_params.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("RGB2BGR", "NO_CHANGE"))
    assert not [one for one in audit([top]).findings if one.file == str(path)]


def test_clean_files_give_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = write(tmp_path)
    assert audit([top]).findings == ()
    assert run(["audit", str(top)]) == 0
    said = capsys.readouterr().out
    assert "nothing found" in said and "net_int8.yaml and " in said and "1 file of no known kind" in said  # net.onnx
    letterboxed = VAMC.replace("    - type: Resize\n      size: [184, 320]\n", LETTERBOX).replace("184, 320]", "512, 512]")
    write(tmp_path, letterboxed, OpType="FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR", OimageWidth=512, OimageHeight=512)
    assert audit([top]).findings == ()


def test_values_that_were_rounded_to_float16_are_the_same(tmp_path: Path) -> None:
    imagenet = VAMC.replace("div255: false", "div255: true").replace("[128, 128, 128]", "[0.485, 0.456, 0.406]")
    imagenet = imagenet.replace("[256, 256, 256]", "[0.229, 0.224, 0.225]")
    half: dict[str, Any] = {
        "Mean": [0.485107421875, 0.4560546875, 0.406005859375],
        "Std": [0.22900390625, 0.2239990234375, 0.2249755859375],
    }
    assert kinds(write(tmp_path, imagenet, NormaType="DIV255_MINUSMEAN_DIVSTD", **half)) == []
    half["Std"] = [0.22900390625, 0.2239990234375, 0.2259755859375]
    assert kinds(write(tmp_path, imagenet, NormaType="DIV255_MINUSMEAN_DIVSTD", **half)) == ["normalisation"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ColorCvtCode": "NO_CHANGE"}, ["colour"]),
        ({"IimageFormat": "BGR888", "ColorCvtCode": "NO_CHANGE"}, []),
        ({"IimageFormat": "BGR888", "ColorCvtCode": "BGR2RGB"}, ["colour"]),
        ({"IimageFormat": "BGR888"}, ["value"]),  # RGB2BGR does not take BGR
        ({"Std": [255, 255, 255]}, ["normalisation"]),
        ({"Mean": [128, 128, 127]}, ["normalisation"]),
        ({"Mean": [0.5, 0.5, 0.5], "Std": [0.5, 0.5, 0.5]}, ["normalisation", "range"]),
        ({"NormaType": "DIV255_MINUSMEAN_DIVSTD"}, ["normalisation", "range"]),
        ({"NormaType": "DIV255"}, ["normalisation", "unused"]),
        ({"NormaType": "DIV255", "Mean": None, "Std": None}, ["normalisation"]),
        ({"NormaType": "MINUSMEAN_DIVST"}, ["value"]),
        ({"OimageHeight": 176}, ["size"]),
        ({"OimageHeight": None}, ["malformed"]),
        ({"OpType": "FUSION_OP_RGB_LETTERBOX_CVTCOLOR_NORM_TENSOR"}, ["resize"]),
        ({"Colour": "BGR"}, ["key"]),
    ],
    ids=str,
)
def test_a_json_that_describes_another_tensor_is_found(tmp_path: Path, changes: dict[str, Any], found: list[str]) -> None:
    top = write(tmp_path, **changes)
    assert sorted(kinds(top)) == found


@pytest.mark.parametrize(
    ("form", "code", "found"),
    [
        ("RGB_PLANAR", "RGB2BGR", ["colour"]),
        ("BGR888", "NO_CHANGE", ["colour"]),
        ("RGB_PLANAR", "NO_CHANGE", []),
        ("BGR888", "BGR2RGB", []),
    ],
)
def test_without_a_colour_step_a_build_yaml_calibrates_on_rgb(tmp_path: Path, form: str, code: str, found: list[str]) -> None:
    top = write(tmp_path, VAMC.replace("    - type: CvtColor\n      code: RGB2BGR\n", ""), IimageFormat=form, ColorCvtCode=code)
    assert kinds(top) == found


@pytest.mark.parametrize(
    ("was", "wrong", "kind", "hint"),
    [
        ("calibrate_mode", "alibrate_mode", "key", "did you mean calibrate_mode?"),
        ("frontend", "frontent", "key", "did you mean frontend?"),
        ("process_ops", "proces_ops", "key", "did you mean process_ops?"),
        ("mode: max", "mode: maxx", "value", "did you mean max?"),
        ("- type: Normalize", "- type: Normalise", "value", "did you mean Normalize?"),
        ("dtype: int8", "dtype: int4", "value", "did you mean int8?"),
        ("save_logs: 1", "", "", ""),
        ("suffix: jpg", "fruit: 1", "key", "known here: suffix, get_data_num"),
        ("size: [184, 320]", "size: [176, 320]", "shape", "the network refuses one of them"),
        ("{folder}/calib", "{folder}/nothing", "path", "correct it"),
        ("{folder}/net.onnx", "net.onnx", "path", "absolute"),
        ("{folder}/net.onnx", "/path/to/net.onnx", "path", "where it lies"),
        ("{folder}/calib", "/data/coco/val2017", "calibration", "training images"),
        ("code: RGB2BGR", "code: BGR2RGB", "colour", ""),
        ("mean: [128, 128, 128]", "mean: [128, 128", "malformed", ""),
    ],
)
def test_a_fault_of_a_build_yaml_is_found_with_what_to_do(tmp_path: Path, was: str, wrong: str, kind: str, hint: str) -> None:
    if not kind:
        was, wrong, kind, hint = "workspace:\n", "workspace:\n  save_logs: 1\n", "key", "did you mean save_log?"
    top = write(tmp_path, VAMC.replace(was, wrong, 1))
    found = [one for one in audit([top]).findings if one.kind == kind]
    assert found and hint in found[0].hint
    if kind in ("key", "value"):
        assert found[0].line == line(top / "vamc/net_int8.yaml", wrong.splitlines()[-1].strip())


def test_weights_without_a_digest_are_found(tmp_path: Path) -> None:
    top = write(tmp_path)
    (top / "omz/net.yml").write_text(OMZ.replace(f"    checksum: {'0f' * 48}\n", "", 1).replace("0f" * 48, "0f" * 20))
    (top / "mmpose/net_coco.yml").write_text(MMPOSE.replace("-0123abcd_20230126", "_20230126"))
    assert short(audit([top]).findings, top) == [
        ("mmpose/net_coco.yml", 14, "hash"),
        ("omz/net.yml", 4, "hash"),
        ("omz/net.yml", 9, "hash"),
    ]


def test_shapes_that_contradict_each_other_are_found(tmp_path: Path) -> None:
    top = write(tmp_path)
    (top / "omz/net.yml").write_text(OMZ + 'conversion_to_onnx_args: ["--input-shape=1,3,384,288"]\n')
    (top / "omz/net.accuracy-check.yml").write_text(CHECK.replace("dst_height: 256", "dst_height: 368"))
    (top / "mmpose/net_coco.yml").write_text(MMPOSE.replace("net_coco-256x192-0", "net_coco-384x288-0"))
    assert short(audit([top]).findings, top) == [
        ("mmpose/net_coco.yml", 14, "shape"),
        ("omz/net.accuracy-check.yml", 10, "shape"),
        ("omz/net.yml", 18, "shape"),
    ]


def test_calibration_on_the_images_of_an_evaluation_is_found(tmp_path: Path) -> None:
    top = write(tmp_path)
    (top / "omz/net.accuracy-check.yml").write_text(CHECK.replace("ms_coco_keypoints\n", f"ours\n        data_source: {top}/calib\n"))
    (found,) = audit([top]).findings
    assert (found.kind, found.line) == ("calibration", 18)
    assert "of ours" in found.message and "net.accuracy-check.yml:8" in found.other


def test_a_path_that_no_file_system_can_have_is_a_finding_and_no_error(tmp_path: Path) -> None:
    from workspaces import WORKSPACE

    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    top = write(tmp_path / "foreign", VAMC.replace("{folder}/calib", f"/{'a' * 5000}"))
    assert [one.kind for one in audit([top]).findings] == ["path"]


def test_calibration_on_what_the_workspace_evaluates_on_is_found(tmp_path: Path) -> None:
    from workspaces import RECIPE, WORKSPACE

    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/tiny.yaml").write_text(RECIPE)
    images = tmp_path / "coco/val2017"
    images.mkdir(parents=True)
    (tmp_path / "people").symlink_to(images)  # by its name nobody would know
    top = write(tmp_path / "foreign", VAMC.replace("{folder}/calib", str(tmp_path / "people")))
    assert [one.kind for one in audit([top]).findings] == ["calibration"]


def test_a_recipe_of_ours_is_checked_where_it_lies_in_a_workspace(tmp_path: Path) -> None:
    from workspaces import RECIPE, WORKSPACE

    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes/tiny.yaml"
    path.write_text(RECIPE)
    assert audit([tmp_path]).findings == ()
    path.write_text(RECIPE.replace("dataset: other", "dataset: coco_val2017").replace("title:", "titel:", 1))
    assert sorted(kinds(tmp_path)) == ["calibration", "recipe", "recipe"]


def test_two_files_that_are_named_belong_together_whatever_they_are_called(tmp_path: Path) -> None:
    one, other = tmp_path / "a/apple.yaml", tmp_path / "b/c/pear.json"
    for path, text in ((one, VAMC.replace("{folder}/net.onnx", "$NET")), (other, json.dumps(vdsp(Std=[1, 1, 1])))):
        path.parent.mkdir(parents=True)
        path.write_text(text.replace("{folder}/calib", "$IMAGES"))
    assert audit([tmp_path]).pairs == ()
    report = audit([one, other])
    assert [pair.why for pair in report.pairs] == ["both named on the command line"]
    assert [found.kind for found in report.findings] == ["normalisation"]


def test_names_decide_between_files_of_one_folder(tmp_path: Path) -> None:
    for name in ("pose_body_fp16", "pose_hand_int8"):
        (tmp_path / f"{name}.yaml").write_text(VAMC.replace("{folder}", "$HERE"))
    for name in ("pose-body-vdsp_params", "pose-hand-vdsp_params", "pose-foot-vdsp_params"):
        (tmp_path / f"{name}.json").write_text(json.dumps(vdsp()))
    together = {(Path(pair.one).stem, Path(pair.other).stem) for pair in audit([tmp_path]).pairs}
    assert together == {("pose_body_fp16", "pose-body-vdsp_params"), ("pose_hand_int8", "pose-hand-vdsp_params")}


def test_a_named_file_of_no_known_kind_is_said_and_one_of_a_tree_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("services: {web: {image: nginx}}\n")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    assert kinds(path) == ["unknown"]
    report = audit([tmp_path])
    assert report.findings == () and report.passed_over == 2


def test_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = write(tmp_path, Std=[255, 255, 255])
    assert run(["audit", "--json", str(top)]) == 1
    said = json.loads(capsys.readouterr().out)
    (found,) = said["findings"]
    assert found["kind"] == "normalisation" and found["file"] == str(top / "vdsp/net-vdsp_params.json")
    assert found["line"] == line(top / "vdsp/net-vdsp_params.json", "NormaType")
    assert said["files"]["vamc"] == 1 and len(said["pairs"]) == 2


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        audit([tmp_path / "nothing"])
    assert run(["audit", os.fspath(tmp_path / "nothing")]) == 2


def test_a_shape_that_the_onnx_file_does_not_have_is_found(tmp_path: Path, network: Any) -> None:
    import onnx

    top = write(tmp_path, VAMC.replace("    input:", "    data:"))
    onnx.save(network, tmp_path / "net.onnx")  # data (batch, 3, height, width)
    assert kinds(top) == []
    network = onnx.ModelProto.FromString(network.SerializeToString())
    network.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 192
    onnx.save(network, tmp_path / "net.onnx")
    (found,) = audit([top]).findings
    assert (found.kind, found.line) == ("shape", 4) and "1x3x184x320, and the input of" in found.message and "?x3x192x?" in found.message
    write(tmp_path)
    onnx.save(network, tmp_path / "net.onnx")
    (found,) = audit([top]).findings
    assert "has no input input" in found.message and found.hint == "its inputs: data"


@pytest.mark.parametrize(
    ("changes", "found"),
    [({}, []), ({"ColorCvtCode": "NO_CHANGE"}, ["colour"]), ({"Std": [255, 256, 256]}, ["normalisation"]), ({"OimageWidth": 8}, ["shape"])],
    ids=str,
)
def test_a_vdsp_json_that_is_no_longer_that_of_the_model_beside_it_is_found(
    tmp_path: Path, changes: dict[str, Any], found: list[str]
) -> None:
    (tmp_path / "preprocess.json").write_bytes(canonical(read(vdsp())))
    (tmp_path / "vdsp_params.json").write_text(json.dumps(vdsp(**changes)))
    assert kinds(tmp_path) == found


def test_what_the_zoo_emits_is_clean_and_wrong_as_soon_as_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workspaces import RECIPE, Small

    stretched = re.sub(r"fit: .*", "fit: {type: stretch, width: 64, height: 64}", RECIPE)
    Small.make(tmp_path).recipe(
        ("normalize_then_resize", "resize_then_normalize"), ("  onnxruntime-fp32:\n", "  onnxruntime-fp16:\n"), text=stretched
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for kind, name in (("vamc", "tiny.yaml"), ("vdsp", "tiny-vdsp_params.json")):
        assert run(["emit", kind, "tiny", "-t", "onnxruntime-fp16", "--save", f"out/{name}"]) == 0
    report = audit([tmp_path / "out"])
    assert len(report.pairs) == 1 and {one.kind for one in report.findings} <= {"path"}  # nothing is built yet
    params = tmp_path / "out/tiny-vdsp_params.json"
    params.write_text(params.read_text().replace("RGB2BGR", "NO_CHANGE"))
    assert "colour" in kinds(tmp_path / "out")


@pytest.mark.assets
def test_the_tolerant_readers_say_what_the_strict_ones_do(assets: Path) -> None:
    from zoo.document import read as document
    from zoo.interop import process_ops
    from zoo.interop.foreign import FORMATS

    for path in (path for folder in ("vamc", "vdsp") for path in sorted((assets / "foreign" / folder).iterdir())):
        kind = path.parent.name
        data = document(path, "foreign").data
        try:
            strict = read(data) if kind == "vdsp" else process_ops.read(data["dataset"]["process_ops"])
        except ZooError:
            assert path.name == "ppcls_mobilenetv3.yaml"  # it crops, which no recipe does
            continue
        told = FORMATS[kind][1](document(path, "foreign"))
        assert told.size and told.normalised and told.resize
        assert told.size.value == strict.fit.affine((1, 1)).input[::-1]
        assert told.resize.value == strict.fit.__struct_config__.tag
        assert (told.normalised.value.centre, told.normalised.value.spread) == (strict.mean, strict.std)
        assert told.colour is None or told.colour.value == strict.colour
