"""What is not scored: who, which pixels, and what is said of annotations that cannot be drawn."""

import json
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from zoo.datasets import BadAnnotations
from zoo.training.masks import Ignore
from zoo.training.segmentations import covered, drawable

CROWDS, POOR = Ignore(rule="crowds"), Ignore(rule="crowds_and_poor")


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def one(id: int, x: float, y: float, side: float, *, crowd: bool = False, keypoints: int = 17, area: float = 2000.0) -> dict[str, Any]:
    """An annotation whose region is a square of an image of 40x30 pixels."""
    shape = {"segmentation": [square(x, y, side)], "bbox": [x, y, side, side]}
    return {"id": id, "iscrowd": int(crowd), "num_keypoints": keypoints, "area": area, "keypoints": [1, 1, 2] * keypoints, **shape}


def pixels(x: int, y: int, side: int) -> NDArray[np.bool_]:
    mask = np.zeros((30, 40), np.bool_)
    mask[y : y + side, x : x + side] = True
    return mask


def of_image(assets: Path, image: int) -> list[dict[str, Any]]:
    file = assets / "coco_mini/annotations/person_keypoints_val_mini.json"
    return [annotation for annotation in json.loads(file.read_bytes())["annotations"] if annotation["image_id"] == image]


# who


@pytest.mark.assets
def test_crowds_and_poor_people_are_masked_as_mindspores_openpose_has_them(assets: Path) -> None:
    goldens = assets / "goldens/pre_post"
    stored = np.load(goldens / "mindspore_ignore_masks.npz")
    for golden in json.loads((goldens / "mindspore_ignore_masks.json").read_bytes()):
        annotations = of_image(assets, golden["image_id"])
        assert [annotation["id"] for annotation in annotations] == golden["ann_ids_in_order"]
        mask = POOR.ignored(annotations, golden["height"], golden["width"])
        assert mask.sum() == golden["mask_miss_pixels"]
        np.testing.assert_array_equal(mask, stored[f"{golden['image_id']}.mask_miss"])


@pytest.mark.assets
def test_crowds_are_masked_as_lightweight_openpose_has_them(assets: Path) -> None:
    goldens = assets / "goldens/pre_post"
    stored = np.load(goldens / "lightweight_train_targets.npz")
    for image in json.loads((goldens / "lightweight_train_targets.json").read_bytes()).values():
        mask = CROWDS.ignored(of_image(assets, image["image_id"]), image["height"], image["width"])
        counts = 1 - mask.astype(np.float32)
        on_grid = cv2.resize(counts, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(on_grid, stored[f"{image['image_id']}.noaug.mask"], atol=1e-6)
        assert mask.any() == bool(image["prepared"]["crowd_segmentations"])


def test_a_crowd_loses_who_was_annotated_before_it_and_nobody_after() -> None:
    before, crowd, after = one(1, 2, 2, 8), one(2, 0, 0, 20, crowd=True), one(3, 12, 12, 6)
    np.testing.assert_array_equal(POOR.ignored([before, crowd, after], 30, 40), pixels(0, 0, 20) & ~pixels(2, 2, 8))
    np.testing.assert_array_equal(CROWDS.ignored([before, crowd, after], 30, 40), pixels(0, 0, 20))


def test_a_poor_person_before_a_crowd_is_not_scored_either() -> None:
    poor, crowd = one(1, 2, 2, 8, keypoints=1), one(2, 0, 0, 20, crowd=True)
    np.testing.assert_array_equal(POOR.ignored([poor, crowd], 30, 40), pixels(0, 0, 20))


@pytest.mark.parametrize(
    ("keypoints", "area", "poor"),
    [(5, 1024.5, False), (4, 1024.5, True), (5, 1024.0, True), (0, 9000.0, True)],
)
def test_fewer_than_five_keypoints_are_few_and_1024_pixels_are_small(keypoints: int, area: float, poor: bool) -> None:
    person = one(1, 5, 5, 10, keypoints=keypoints, area=area)
    assert POOR.ignored([person], 30, 40).any() == poor
    assert not CROWDS.ignored([person], 30, 40).any()


def test_keypoints_are_counted_where_their_number_does_not_stand_there() -> None:
    person = one(1, 5, 5, 10, keypoints=17)
    del person["num_keypoints"]
    assert not POOR.ignored([person], 30, 40).any()
    person["keypoints"][2::3] = [0] * 13 + [1, 2, 1, 2]
    assert POOR.ignored([person], 30, 40).any()


def test_the_rule_nothing_looks_at_nothing() -> None:
    assert not Ignore(rule="nothing").ignored([{"id": 1, "iscrowd": 1, "segmentation": "no segmentation"}], 30, 40).any()


def test_who_has_no_segmentation_covers_their_box() -> None:
    crowd = {**one(1, 3, 4, 5, crowd=True), "segmentation": []}
    np.testing.assert_array_equal(CROWDS.ignored([crowd], 30, 40), pixels(3, 4, 5))


# which pixels


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 50), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_run_lengths_of_both_forms_cover_what_pycocotools_packed(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    if seed % 2:
        mask = np.sort(mask, axis=0)  # long runs, as of real regions
    packed = coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if pixel == value:
            counts[-1] += 1
        else:
            counts.append(1)
            value = pixel
    for form in (packed, counts):
        segmentation = {"size": [height, width], "counts": form}
        np.testing.assert_array_equal(covered(drawable(segmentation, height, width), height, width), mask)
        raw = msgspec.Raw(json.dumps(segmentation).encode())
        np.testing.assert_array_equal(covered(drawable(raw, height, width), height, width), mask)


def test_polygons_are_drawn_together_and_cut_off_at_the_image() -> None:
    segmentation = [square(2, 3, 5), square(35, 25, 20), [1, 1, 2, 2]]
    drawn = covered(drawable(segmentation, 30, 40), 30, 40)
    np.testing.assert_array_equal(drawn, pixels(2, 3, 5) | pixels(35, 25, 20))


@pytest.mark.assets
def test_a_mask_is_drawn_in_milliseconds(assets: Path) -> None:
    from time import perf_counter

    annotations = of_image(assets, 217285)
    POOR.ignored(annotations, 427, 640)
    began = perf_counter()
    for _ in range(5):
        POOR.ignored(annotations, 427, 640)
    assert (perf_counter() - began) / 5 < 0.05  # a few on a quiet machine


# what cannot be drawn

MALFORMED = [
    ("no segmentation", "neither polygons nor run lengths"),
    ([["a", "b", "c", "d", "e", "f"]], "neither polygons nor run lengths"),
    ([[]], "no polygon of three corners"),
    ([[1, 2, 3, 4]], "no polygon of three corners"),
    ([[1, 2, 3, 4, 5, 6, 7]], "a polygon of 7 numbers"),
    ([[1, 2, 3, 4, 5, 1e9]], "a corner more than 400 pixels away"),
    ([[1, 2, 3, 4, 5, float("nan")]], "a corner more than"),
    ({"counts": [1200]}, "missing required field `size`"),
    ({"size": [30, 40]}, "missing required field `counts`"),
    ({"size": [40, 30], "counts": [1200]}, "an image of 30x40, and not of 40x30"),
    ({"size": [30, 40], "counts": [600, 601]}, "runs of 1201 pixels together, and not of the image's 1200"),
    ({"size": [30, 40], "counts": [600, 599]}, "runs of 1199 pixels"),
    ({"size": [30, 40], "counts": [1300, -100]}, "runs of 1200 pixels"),
    ({"size": [30, 40], "counts": [2**70]}, "Integer|pixels"),
    ({"size": [30, 40], "counts": ""}, "damaged or cut off"),
    ({"size": [30, 40], "counts": "abc"}, "damaged or cut off"),
    ({"size": [30, 40], "counts": "a b"}, "damaged or cut off"),
    ({"size": [30, 40], "counts": "éé"}, "damaged or cut off"),
    ({"size": [30, 40], "counts": "oooooooooo0"}, "more than 35 bits"),
]


@pytest.mark.parametrize(("segmentation", "told"), MALFORMED)
def test_a_malformed_segmentation_is_told_with_the_annotations_id(segmentation: Any, told: str) -> None:
    crowd = {**one(4711, 0, 0, 5, crowd=True), "segmentation": segmentation}
    with pytest.raises(BadAnnotations, match=f"annotation 4711: its segmentation .*(?:{told})"):
        CROWDS.ignored([crowd], 30, 40)


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
def test_whatever_stands_for_packed_run_lengths_is_drawn_or_refused(text: str) -> None:
    try:
        drawn = covered(drawable({"size": [3, 4], "counts": text}, 3, 4), 3, 4)
    except ValueError:
        return
    packed = {"size": [3, 4], "counts": text.encode()}
    assert drawn.sum() == coco.area(packed)


def test_neither_a_segmentation_nor_a_box_is_told_and_so_is_an_area_that_is_missing() -> None:
    crowd = {**one(7, 0, 0, 5, crowd=True), "segmentation": [], "bbox": None}
    with pytest.raises(BadAnnotations, match="annotation 7 has no segmentation, and no box"):
        CROWDS.ignored([crowd], 30, 40)
    person = one(8, 0, 0, 5)
    del person["area"]
    with pytest.raises(BadAnnotations, match="annotation 8 has no area"):
        POOR.ignored([person], 30, 40)
    with pytest.raises(BadAnnotations, match="got `str`"):
        POOR.ignored([{**person, "area": "large"}], 30, 40)


def test_who_is_scored_and_covers_nothing_of_a_crowd_may_have_any_segmentation() -> None:
    person = {**one(9, 0, 0, 5), "segmentation": "no segmentation"}
    assert CROWDS.ignored([person, one(10, 5, 5, 5, crowd=True)], 30, 40).sum() == 25
    assert not POOR.ignored([person], 30, 40).any()
