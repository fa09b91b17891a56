"""Recipes made from other zoos' files: they pass the check, and nothing of the files is dropped."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from foreign_samples import CHECK, LETTERBOX, MMPOSE, OMZ, VAMC, vdsp, write
from workspaces import WORKSPACE

from zoo.cli import run
from zoo.document import parse
from zoo.interop.imports import drafted, recipe
from zoo.interop.imports.draft import Draft, flow, leaves, said
from zoo.models import OnnxGraph
from zoo.models.rtmpose import RtmPose
from zoo.pose import vdsp as chip
from zoo.pose.decoders.heatmaps import HeatmapsDecoder
from zoo.pose.decoders.simcc import SimccDecoder
from zoo.pose.fits import Box, Stretch
from zoo.recipe.model import Recipe
from zoo.recipe.origin import of_recipe
from zoo.recipe.workspace import Place, open_place
from zoo.weights import OnnxReader

ROOT = Path(__file__).parents[2]
SAMPLES = [
    (["vamc/pytorch_openpose_body.yaml"], None),
    (["vamc/pytorch_openpose_body.yaml", "vdsp/pytorch-body-vdsp_params.json"], None),
    (["vdsp/pytorch-hand-vdsp_params.json", "vamc/pytorch_openpose_hand.yaml"], None),
    (["vamc/mmpose_hrnetpose.yaml"], None),
    (["vamc/mmpose_hrnetpose.yaml", "vdsp/mmpose-hrnet_pose-vdsp_params.json"], None),
    (["vamc/ppcls_mobilenetv3.yaml"], None),
    (["omz/human-pose-estimation-0001.yml"], None),
    (["omz/human-pose-estimation-0001.yml", "omz/human-pose-estimation-0001.accuracy-check.yml"], None),
    (["omz/higher-hrnet-w32-human-pose-estimation.yml"], None),
    (["omz/single-human-pose-estimation-0001.yml"], None),
    (["mmpose/rtmpose_coco.yml"], "rtmpose-m_8xb256-420e_aic-coco-256x192"),
    (["mmpose/rtmpose_coco.yml"], "rtmpose-l_8xb256-420e_aic-coco-384x288"),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "zoo.yaml").write_text(WORKSPACE)
    (tmp_path / "recipes").mkdir()
    return open_place(str(tmp_path))


def at(data: Any, path: str) -> Any:
    """What stands in a recipe at `weights[0].files[1].url`."""
    for step in re.findall(r"[^.\[\]]+", path):
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


def lost(made: Draft, text: str) -> Iterator[str]:
    """Every value of the sources that neither came to a place of the recipe that exists, nor stands in a comment with its path."""
    data = parse(text).data
    for document in made.sources:
        for path, value in leaves(document.data):
            inside = [into for (file, taken), into in made.carried.items() if file == document.name and path[: len(taken)] == taken]
            if inside:
                target = at(data, inside[0])
                exact = re.search(r"\.(url|path|size|value|images|per_channel)$|^(title|paper)$", inside[0])
                if target is None or (exact and target != value) or (".hash" in inside[0] and value.lower() not in target):
                    yield f"{path}: {value!r} is {target!r} in {inside[0]}"
            elif any(path[: len(other)] == other for file, other in made.others if file == document.name):
                continue
            else:
                line = document.position(path)[0]
                if not re.search(rf"^#   {re.escape(document.name)}:{line}: \S.*: {re.escape(said(value))}$", text, re.M):
                    yield f"{path}: {value!r} stands nowhere"


@pytest.mark.assets
@pytest.mark.parametrize(("files", "model"), SAMPLES, ids=lambda value: str(value)[-40:])
def test_a_sample_becomes_a_recipe_that_passes_the_check_and_nothing_of_it_is_dropped(
    assets: Path, tmp_path: Path, files: list[str], model: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [assets / "foreign" / file for file in files]
    for workspace in (tmp_path, ROOT):
        if workspace == tmp_path:
            (tmp_path / "zoo.yaml").write_text(WORKSPACE)
            (tmp_path / "recipes").mkdir()
        found = open_place(str(workspace))
        text = recipe(paths, found, model=model)
        assert [*lost(drafted(paths, found, model=model), text)] == []
    save = tmp_path / "recipes/mine.yaml"
    options = ["--model", model] if model else []
    assert run(["import", *map(str, paths), *options, "--save", str(save), "--workspace", str(tmp_path)]) == 0
    assert run(["check", "mine", "--workspace", str(tmp_path)]) == 0, capsys.readouterr().out
    assert parse(save.read_text()).data["name"] == "mine"


def made(place: Place, *paths: Path, **named: Any) -> tuple[Recipe, str]:
    text = recipe(paths, place, **named)
    return msgspec.convert(parse(text).data, Recipe), text


def test_the_json_says_the_preprocessing_and_a_difference_is_a_warning(tmp_path: Path, place: Place) -> None:
    top = write(tmp_path / "foreign")
    build, params = top / "vamc/net_int8.yaml", top / "vdsp/net-vdsp_params.json"
    both, text = made(place, build, params)
    alone, _ = made(place, build)
    assert both.preprocess == alone.preprocess == chip.read(vdsp())
    assert "WARNING" not in text
    params.write_text(json.dumps(vdsp(Std=[255, 255, 255])))
    other, text = made(place, build, params)
    assert other.preprocess == chip.read(vdsp(Std=[255, 255, 255]))
    assert "# WARNING, normalisation: MINUSMEAN_DIVSTD gives (pixel - 128) / 255" in text and "/ 256" in text


def test_what_no_recipe_has_is_said_where_it_belongs(tmp_path: Path, place: Place) -> None:
    short = LETTERBOX.replace("long", "short").replace("    - type: Pad\n      pad_to_square: true\n", "")
    top = write(tmp_path / "foreign", VAMC.replace("    - type: Resize\n      size: [184, 320]\n", short).replace("mode: max", "mode: mse"))
    found, text = made(place, top / "vamc/net_int8.yaml")
    assert "# CHANGE: the file's resize (short side) is none that a recipe has; stretched here." in text
    assert re.search(r"#   .*:\d+: backend\.quantize\.calibrate_mode: mse$", text, re.M)
    assert re.search(r"#   .*:\d+: dataset\.process_ops\[2\]\.adaptive_side: short$", text, re.M)
    assert found.preprocess.colour == "bgr" and found.calibration and found.calibration.images == 50


@pytest.mark.parametrize("name", ["pytorch_openpose_body", "pytorch_openpose_hand"])
def test_openposes_own_networks_come_with_the_terms_of_their_weights(tmp_path: Path, place: Place, name: str) -> None:
    top = write(tmp_path / "foreign")
    build = (top / "vamc/net_int8.yaml").rename(top / f"vamc/{name}.yaml")
    build.write_text(re.sub(r"^name: .*", f"name: {name}", build.read_text(), flags=re.M))
    found, text = made(place, build)
    assert found.model.keypoints in (18, 21) and "CHANGE where these are other weights" in text
    assert of_recipe(found, place).refusal("commercial").endswith("(CMU, non-commercial)")
    plain, text = made(place, write(tmp_path / "others") / "vamc/net_int8.yaml")
    assert of_recipe(plain, place).refusal("commercial") == "" and "other weights" not in text


def test_a_size_that_the_network_does_not_take_is_said(tmp_path: Path, place: Place) -> None:
    top = write(tmp_path / "foreign", VAMC.replace("184, 320]", "225, 301]"))
    build = top / "vamc/net_int8.yaml"
    build.write_text(build.read_text().replace("net.onnx", "net.pth"))
    found, text = made(place, build)
    assert found.export.shape == (1, 3, 232, 304)
    assert "# The file says [1, 3, 225, 301]" in text


def test_an_onnx_file_of_an_unknown_network_is_its_own_model_at_the_size_that_it_was_written_for(tmp_path: Path, place: Place) -> None:
    top = write(tmp_path / "foreign", VAMC.replace("184, 320]", "225, 301]"))
    found, text = made(place, top / "vamc/net_int8.yaml")
    assert found.model == OnnxGraph(outputs={"heatmaps": 17}, keypoints=17, size=(225, 301))
    assert found.weights[0].reader == OnnxReader(file="net.onnx")
    assert found.export.shape == (1, 3, 225, 301) and found.preprocess.fit == Stretch(width=301, height=225)
    assert "CHANGE: the file does not say what the graph gives" in text and "no checkpoint of PyTorch" not in text
    # of a known architecture the checkpoint is wanted
    build = (top / "vamc/net_int8.yaml").rename(top / "vamc/pytorch_openpose_body.yaml")
    assert "no checkpoint of PyTorch" in made(place, build)[1]


def test_fractions_of_255_are_written_without_the_noise_of_their_product(tmp_path: Path, place: Place) -> None:
    own = "      div255: false\n      mean: [128, 128, 128]\n      std: [256, 256, 256]\n"
    assert own in VAMC
    imagenet = "      div255: true\n      mean: [0.485, 0.456, 0.406]\n      std: [0.229, 0.224, 0.225]\n"
    found, _ = made(place, write(tmp_path / "foreign", VAMC.replace(own, imagenet)) / "vamc/net_int8.yaml")
    # the network's channels are BGR here
    assert found.preprocess.mean == (123.675, 116.28, 103.53) and found.preprocess.std == (58.395, 57.12, 57.375)


@pytest.mark.assets
def test_open_model_zoos_network_of_one_person_looks_at_boxes_and_gives_heatmaps(assets: Path) -> None:
    found, text = made(open_place(str(ROOT)), assets / "foreign/omz/single-human-pose-estimation-0001.yml")
    assert found.model == OnnxGraph(outputs={"heatmaps": 17}, keypoints=17, size=(384, 288))
    assert found.preprocess.fit == Box(width=288, height=384, padding=1.25) and found.preprocess.colour == "rgb"
    assert found.decode == HeatmapsDecoder(heatmaps="heatmaps")
    assert found.weights[0].wanted()[0].name == "single-human-pose-estimation-0001.onnx" and "stands here so that" not in text
    assert {one.protocol for one in found.evaluate} >= {"ground_truth_boxes", "detection_file_flip", "rtmdet_boxes"}
    assert found.calibration and found.calibration.boxes


def test_open_model_zoos_files_keep_their_digests_and_figures(tmp_path: Path, place: Place) -> None:
    top = write(tmp_path / "foreign")
    (top / "omz/net.yml").write_text(OMZ.replace("    size: 20\n    checksum: " + "0f" * 48, "    checksum: none", 1))
    (top / "omz/net.accuracy-check.yml").write_text(CHECK.replace("dst_height: 256", "dst_height: 254"))
    found, text = made(place, top / "omz/net.yml", top / "omz/net.accuracy-check.yml")
    first, second = found.weights[0].wanted()
    assert (first.hash, first.size, second.hash, second.size) == (f"sha384:{'0f' * 48}", 10, "none", 0)
    assert [(one.metric, one.value) for one in found.published] == [("AP", 0.4)]
    assert found.evaluate == () and re.search(r"#   .*: models\[0\]\.datasets\[0\]\.preprocessing\[0\]\.dst_height: 254$", text, re.M)


def test_one_model_of_a_metafile_is_chosen_and_without_a_choice_all_are_named(
    tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "foreign") / "mmpose/net_coco.yml"
    found, _ = made(place, path)  # the only one
    (file,) = found.weights[0].wanted()
    assert file.hash == "sha256-prefix:0123abcd" and found.export.shape == (1, 3, 256, 192)
    assert found.paper == "https://example.org/paper" and found.licences.data == "COCO"
    second = MMPOSE.partition("Models:\n")[2].replace("256x192", "384x288")
    path.write_text(MMPOSE + second)
    for options in ([], ["--model", "net"]):
        assert run(["import", str(path), *options, "--workspace", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert "net_coco-256x192" in said and "net_coco-384x288" in said
    assert made(place, path, model="net_coco-384x288")[0].export.shape == (1, 3, 384, 288)


def rtmpose(tmp_path: Path, place: Place, name: str) -> tuple[Recipe, str]:
    path = write(tmp_path / name) / "mmpose/net_coco.yml"
    path.write_text(MMPOSE.replace("Name: net_coco-256x192", f"Name: {name}"))
    return made(place, path)


@pytest.mark.parametrize(
    ("name", "variant", "size"),
    [
        ("rtmpose-t_8xb256-420e_coco-256x192", "t", (256, 192)),
        ("rtmpose-tiny_8xb256-420e_body8-256x192", "t", (256, 192)),
        ("rtmpose-l_8xb256-420e_aic-coco-384x288", "l", (384, 288)),
    ],
)
def test_rtmpose_is_a_recipe_in_which_nothing_is_left_to_change(
    tmp_path: Path, place: Place, name: str, variant: str, size: tuple[int, int]
) -> None:
    found, text = rtmpose(tmp_path, place, name)
    assert "CHANGE" not in text
    assert found.model == RtmPose(variant=variant, input_size=size)  # type: ignore[arg-type]
    assert found.preprocess.fit == Box(width=size[1], height=size[0], padding=1.25) and found.preprocess.colour == "rgb"
    assert found.decode == SimccDecoder(x="simcc_x", y="simcc_y") and found.export.shape == (1, 3, *size)
    assert found.export.dynamic == ("batch",) and found.licences.weights == "Apache-2.0"
    assert [(one.protocol, one.flip) for one in found.evaluate] == [("ground_truth_boxes", None), ("ground_truth_boxes_flip", True)]
    assert {one.protocol for one in found.published} == {"boxes of the detector with human AP 56.4, flip test, COCO, Body 2D Keypoint"}
    assert found.calibration is None, "this workspace has no detector to find boxes on calibration images"


@pytest.mark.parametrize(
    "name",
    [
        "rtmpose-x_8xb256-700e_body8-halpe26-384x288",
        "rtmpose-m_8xb64-270e_coco-wholebody-256x192",
        "rtmpose-m_8xb256-420e_coco-hand-256x256",
        "rtmpose-m_8xb64-210e_ap10k-256x256",
        "td-hm_hrnet-w32_8xb64-210e_coco-256x192",
        "td-hm_vipnas-res50_8xb64-210e_coco-256x192",
    ],
)
def test_networks_of_other_keypoints_or_heads_are_not_taken_for_it(tmp_path: Path, place: Place, name: str) -> None:
    found, text = rtmpose(tmp_path, place, name)
    assert "CHANGE: the file does not say which architecture this is" in text and not isinstance(found.model, RtmPose)
    assert {one.protocol for one in found.published} == {"as mmpose states it, COCO, Body 2D Keypoint"}


@pytest.mark.assets
def test_every_rtmpose_of_the_metafile_is_like_the_recipe_of_this_workspace(assets: Path) -> None:
    place = open_place(str(ROOT))
    for variant in "tsml":
        ours = place.network(f"rtmpose_{variant}")
        path = assets / "foreign/mmpose/rtmpose_coco.yml"
        found, text = made(place, path, model=f"rtmpose-{variant}_8xb256-420e_aic-coco-256x192")
        assert "CHANGE" not in text
        for part in ("model", "preprocess", "export", "decode", "task", "edits"):
            assert getattr(found, part) == getattr(ours, part), part
        assert found.weights[0].wanted()[0] == ours.weights[0].wanted()[0]
        boxes = {one.protocol: (one.boxes, one.flip or False) for one in ours.evaluate}
        assert {one.protocol: (one.boxes, one.flip or False) for one in found.evaluate} == boxes
        assert found.calibration and ours.calibration and found.calibration.boxes == ours.calibration.boxes
        assert found.targets["onnxruntime-int8"].keep == ours.targets["onnxruntime-int8"].keep  # type: ignore[union-attr]
        assert {(one.metric, one.value) for one in found.published} >= {(one.metric, one.value) for one in ours.published[:1]}


@pytest.mark.parametrize(
    ("names", "options", "wrong"),
    [
        (["vdsp/net-vdsp_params.json"], [], "alone names no model"),
        (["omz/net.accuracy-check.yml"], [], "alone names no model"),
        (["vamc/net_int8.yaml", "omz/net.accuracy-check.yml"], [], "make no recipe together"),
        (["vamc/net_int8.yaml", "vamc/net_int8.yaml"], [], "is a second vamc build YAML"),
        (["vamc/net_int8.yaml"], ["--model", "x"], "--model chooses among"),
        (["vamc/net_int8.yaml"], ["--save", "Mine.yml"], "is no name for a recipe"),
        (["vamc/net_int8.yaml"], ["--save", "zoo.yaml"], "exists"),
        (["other.yaml"], [], "is of no kind"),
        (["broken.yaml"], [], "broken.yaml:2:1:"),
        (["nothing.yaml"], [], "no such file"),
    ],
)
def test_what_makes_no_recipe_is_wrong_usage(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch, names: list[str], options: list[str], wrong: str, capsys: Any
) -> None:
    write(tmp_path)
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    monkeypatch.chdir(tmp_path)
    assert run(["import", *names, *options]) == 2
    assert wrong in capsys.readouterr().err
    assert not [*tmp_path.glob("recipes/*")]


VALUES = ["no", "1", "1e3", "a: b", "x # y", "", "a\nb", "\u2028", "ß", '"', "[", "2020-01-01", "~", 1.5, 3.0, True, None]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_written_so_that_it_is_read_again(value: Any) -> None:
    read = parse(f"{{a: {flow(value)}, b: [{flow(value)}]}}").data
    escaped = value.encode("unicode_escape").decode() if isinstance(value, str) and not value.isprintable() else value
    assert read["a"] == read["b"][0] == escaped
