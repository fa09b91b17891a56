"""What perfect targets give: how good a network could be in a protocol, and where that is planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from workspaces import Small, annotate

from zoo.context import Context
from zoo.datasets import Coco
from zoo.datasets.images import Images
from zoo.engine.action import Action
from zoo.engine.plan import plan
from zoo.engine.use import part
from zoo.engine.wish import Wish
from zoo.metrics import CocoOks
from zoo.pose.decoders.hand_peaks import HandPeaksDecoder
from zoo.pose.decoders.paf import PafDecoder
from zoo.pose.decoders.peaks import FourNeighbours
from zoo.pose.fits import Height
from zoo.recipe.model import Recipe
from zoo.recipe.workspace import open_place, read_recipe
from zoo.steps import reports
from zoo.steps.ceiling import MeasureCeiling, Oracle, ceiling
from zoo.training.targets import Targets

ROOT = Path(__file__).parents[2]
TRAIN = "train: {dataset: coco_train2017, epochs: 1, batch: 1, optimizer: {type: adam, lr: 0.001}}\n"
ORACLE = Oracle(targets=Targets(), fit=Height(height=368), decode=PafDecoder(heatmaps="heat", pafs="fields"))
#: COCO's keypoints of someone who stands, in parts of some 1/4 of the height, from the nose
STANDING = np.array(
    [
        *((0, 0), (0.15, -0.15), (-0.15, -0.15), (0.3, -0.1), (-0.3, -0.1)),
        *((0.5, 0.5), (-0.5, 0.5), (0.7, 1.1), (-0.7, 1.1), (0.8, 1.7), (-0.8, 1.7)),
        *((0.35, 1.8), (-0.35, 1.8), (0.4, 2.7), (-0.4, 2.7), (0.45, 3.5), (-0.45, 3.5)),
    ]
)
SIDE = 400
LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = 5, 7, 9


def standing(x: float, y: float, unit: float, without: tuple[int, ...] = ()) -> list[list[float]]:
    """17 (x, y, visibility) of someone whose nose is at x, y."""
    return [
        [0, 0, 0] if number in without else [float(round(x + unit * dx)), float(round(y + unit * dy)), 2]
        for number, (dx, dy) in enumerate(STANDING)
    ]


def scene(root: Path, people: dict[int, list[list[list[float]]]]) -> Coco:
    """Annotated images of SIDE x SIDE that do not exist: nothing of a ceiling is read in them."""
    (root / "images").mkdir()
    annotate(root / "people.json", people, {id: f"{id}.jpg" for id in people}, SIDE, SIDE)
    return Coco(title="Scene", images="images", annotations="people.json")


def figures(root: Path, people: dict[int, list[list[list[float]]]], context: Context, oracle: Oracle = ORACLE) -> dict[str, float]:
    return ceiling(scene(root, people).open(context), oracle, CocoOks(), context)


def test_people_who_are_large_and_apart_are_found_as_they_were_annotated(tmp_path: Path, context: Context) -> None:
    found = figures(tmp_path, {1: [standing(100, 60, 70), standing(300, 60, 70)], 2: [standing(200, 80, 60)]}, context)
    assert found["AP"] == found["AR"] == pytest.approx(1) and found["detections"] == 3


def test_maps_of_several_sizes_are_averaged_as_those_of_a_network(tmp_path: Path, context: Context) -> None:
    oracle = msgspec.structs.replace(ORACLE, scales=(0.5, 1.0))
    found = figures(tmp_path, {1: [standing(200, 60, 70)]}, context, oracle)
    assert found["AP"] == pytest.approx(1) and found["detections"] == 1


def test_a_threshold_that_nothing_reaches_gives_nothing(tmp_path: Path, context: Context) -> None:
    decode = msgspec.structs.replace(ORACLE.decode, peaks=FourNeighbours(threshold=1.5))
    found = figures(tmp_path, {1: [standing(200, 60, 70)]}, context, msgspec.structs.replace(ORACLE, decode=decode))
    assert (found["AP"], found["detections"]) == (0, 0)


def test_people_who_are_not_annotated_are_not_drawn(tmp_path: Path, context: Context) -> None:
    dataset = scene(tmp_path, {1: [standing(200, 60, 70)], 2: []})
    found = ceiling(dataset.open(context), ORACLE, CocoOks(), context)
    assert (found["AP"], found["detections"], found["images"]) == (pytest.approx(1), 1, 2)


def test_someone_without_a_neck_is_not_found_whole(tmp_path: Path, context: Context) -> None:
    """OpenPose's tree grows from the neck, which lies between two shoulders."""
    found = figures(tmp_path, {1: [standing(200, 60, 70, without=(LEFT_SHOULDER,))]}, context)
    assert found["AP"] < 0.5


def test_the_step_tells_the_same_with_what_it_means(tmp_path: Path, context: Context) -> None:
    dataset = scene(tmp_path, {1: [standing(200, 60, 70)], 2: [standing(200, 60, 70), standing(60, 300, 8)]})
    step = MeasureCeiling(oracle=ORACLE, protocol="original", dataset_name="scene", dataset=dataset, metric=CocoOks(), limit=1)
    step.run({}, tmp_path, context)
    said = reports.read(tmp_path)
    assert isinstance(said, reports.Ceiling)
    assert set(said.figures) == set(CocoOks.figures) and said.figures["AP"] == pytest.approx(1) and said.figures["APM"] is None
    assert (said.protocol, said.dataset.title, said.dataset.subset, said.detections) == ("original", "Scene", "the first 1", 1)
    assert said.targets["sigma"] == 7 and msgspec.convert(said.targets, Targets) == Targets()


def planned(small: Small, **wish: Any) -> dict[str, Action]:
    place = open_place(str(small.root))
    actions = plan(read_recipe(place.find("tiny"), place), place, place.context(offline=True), Wish(**wish))
    return {action.id: action for action in actions if isinstance(action.step, MeasureCeiling)}


TARGETS = ("  onnxruntime-fp32:\n", "  onnxruntime-fp32:\n  openvino-fp32:\n")
TRAINED = ("benchmark:", f"{TRAIN}benchmark:")
DATASETS = ("[coco_val2017, coco_train2017]", "[coco_val2017]")


def test_it_is_planned_where_accuracy_is_and_once_for_all_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small.entered(tmp_path, monkeypatch)
    small.recipe(TARGETS, TRAINED, DATASETS)
    found = planned(small, accuracy=True, limit=2)
    assert list(found) == ["tiny/ceiling/coco_val2017/original"]
    (action,) = found.values()
    assert isinstance(action.step, MeasureCeiling) and action.reads == {} and action.step.limit == 2
    assert b"onnxruntime" not in msgspec.json.encode(action.step), "no network, so no backend"
    assert action.step.oracle.targets == Targets() and action.step.oracle.fit == Height(height=64, min_width=64)
    (small.root / "coco/annotations/person_keypoints_val2017.json").unlink()
    assert not planned(small, accuracy=True), "its images are not here"
    assert len(planned(small, accuracy=True, assume=True)) == 1
    assert not planned(small, latency=True, end_to_end=True, assume=True)


def test_a_recipe_that_is_not_trained_here_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not planned(Small.entered(tmp_path, monkeypatch), accuracy=True, assume=True)


def test_a_decoder_of_other_things_than_targets_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small.entered(tmp_path, monkeypatch)
    place = open_place(str(small.root))
    recipe = read_recipe(place.find("tiny"), place)
    assert isinstance(recipe, Recipe)
    used = part(recipe, place.declared.targets["onnxruntime-fp32"])
    assert Oracle.of(used, Targets()) is not None
    assert Oracle.of(msgspec.structs.replace(used, decode=HandPeaksDecoder(heatmaps="heat")), Targets()) is None


def declared(recipe: str, protocol: str) -> Oracle:
    """The oracle in one of the zoo's own protocols."""
    place = open_place(str(ROOT))
    found = read_recipe(place.find(recipe), place)
    assert isinstance(found, Recipe)
    (evaluation,) = (one for one in found.evaluate if one.protocol == protocol)
    oracle = Oracle.of(part(found, place.declared.targets["onnxruntime-fp32"], evaluation), Targets())
    assert oracle is not None
    return oracle


PROTOCOLS = {"lightweight_openpose": "human_pose_estimation_0001", "pytorch_openpose": "openpose_body"}


def coco_mini(assets: Path, context: Context, *ids: int) -> Images:
    folder = assets / "coco_mini"
    images = Coco(images=str(folder / "images"), annotations=str(folder / "annotations/person_keypoints_val_mini.json")).open(context)
    return Images(tuple(one for one in images.samples if not ids or one.id in ids), images.annotations)


@pytest.mark.assets
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_one_person_of_image_785_is_found_whole(assets: Path, context: Context, protocol: str) -> None:
    found = ceiling(coco_mini(assets, context, 785), declared(PROTOCOLS[protocol], protocol), CocoOks(), context)
    assert found["AP"] == pytest.approx(1)


@pytest.mark.assets
@pytest.mark.parametrize(("protocol", "expected"), [("lightweight_openpose", 0.7667), ("pytorch_openpose", 0.5697)])
def test_the_ceiling_of_coco_mini_is_far_from_one(assets: Path, context: Context, protocol: str, expected: float) -> None:
    """It is told in docs/recipes.md, with why."""
    found = ceiling(coco_mini(assets, context), declared(PROTOCOLS[protocol], protocol), CocoOks(), context)
    assert found["AP"] == pytest.approx(expected, abs=0.001)
