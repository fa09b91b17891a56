"""Where a hand is looked for, and how hands come back to their bodies."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.pose.hands import HandCrop, HandCrops, joined
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS

IMAGES = ["197388", "196141", "217285", "78915", "541055", "40083"]
CROPS = HandCrops()


def body(skeleton: str = "openpose_18", **points: tuple[float, float]) -> Poses:
    names = SKELETONS[skeleton].keypoints
    keypoints = np.full((1, len(names), 2), np.nan)
    for name, point in points.items():
        keypoints[0, names.index(name)] = point
    return Poses.of(keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, 0.5), np.array([0.7]))


def hand(x: float, score: float = 0.9) -> Poses:
    keypoints = np.stack([x + np.arange(21.0), np.arange(21.0)], axis=1)[None]
    keypoints[0, 3] = np.nan
    return Poses.of(keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, score), np.array([score]))


def arm(side: str = "left", by: float = 0.0) -> dict[str, tuple[float, float]]:
    """An arm that points down, upper arm and forearm 100 pixels each."""
    return {f"{side}_{joint}": (300 + by, 100 + 100 * i) for i, joint in enumerate(("shoulder", "elbow", "wrist"))}


@pytest.mark.assets
@pytest.mark.parametrize("maps", ["hz_s0.5", "hz_h256"])
@pytest.mark.parametrize("image", IMAGES)
def test_squares_equal_the_originals(assets: Path, image: str, maps: str) -> None:
    facts = json.loads((assets / "goldens/pre_post/bottomup_poses.json").read_text())[image]
    # one more row for id -1
    points = np.concatenate([np.array(facts[maps]["candidate"])[:, :2], [[np.nan, np.nan]]])
    ids = np.array(facts[maps]["subset"])[:, :18].astype(int)
    poses = Poses.of(points[ids], np.ones(ids.shape), np.ones(len(ids)))
    crops = CROPS.crops(poses, "openpose_18", (facts["width"], facts["height"]))
    expected = facts[maps]["hand_boxes_x_y_w_isleft"]
    assert [[crop.x, crop.y, crop.size, crop.side == "left"] for crop in crops] == expected


def test_a_square_lies_beyond_the_wrist() -> None:
    (crop,) = CROPS.crops(body(**arm()), "openpose_18", (1000, 1000))
    assert crop == HandCrop(person=0, side="left", x=225, y=258, size=150)


def test_a_long_upper_arm_makes_up_for_a_foreshortened_forearm() -> None:
    pose = body(left_shoulder=(300, 100), left_elbow=(300, 300), left_wrist=(300, 310))
    (crop,) = CROPS.crops(pose, "openpose_18", (1000, 1000))
    assert crop.size == int(1.5 * 0.9 * 200)


def test_a_square_moves_in_from_the_left_and_shrinks_on_the_right() -> None:
    left = body(left_shoulder=(210, 100), left_elbow=(110, 100), left_wrist=(10, 100))
    (crop,) = CROPS.crops(left, "openpose_18", (1000, 1000))
    assert (crop.x, crop.size) == (0, 150)
    (crop,) = CROPS.crops(body(**arm()), "openpose_18", (325, 1000))
    assert (crop.x, crop.y, crop.size) == (225, 258, 100)
    image = np.zeros((1000, 325, 3))
    assert crop.cut(image).shape == (100, 100, 3)


@pytest.mark.parametrize("wide", [244, 200, -5])
def test_a_square_that_is_too_small_or_outside_is_left_out(wide: int) -> None:
    assert CROPS.crops(body(**arm()), "openpose_18", (wide, 1000)) == []


def test_an_arm_that_lacks_a_joint_has_no_square() -> None:
    whole = {**arm("left"), **arm("right", by=200)}
    assert [crop.side for crop in CROPS.crops(body(**whole), "openpose_18", (1000, 1000))] == ["left", "right"]
    for joint in ("shoulder", "elbow", "wrist"):
        left_out = {name: point for name, point in whole.items() if name != f"left_{joint}"}
        assert [crop.side for crop in CROPS.crops(body(**left_out), "openpose_18", (1000, 1000))] == ["right"]


def test_every_skeleton_with_arms_will_do() -> None:
    expected = CROPS.crops(body(**arm("right")), "openpose_18", (1000, 1000))
    assert CROPS.crops(body("coco_17", **arm("right")), "coco_17", (1000, 1000)) == expected
    assert CROPS.crops(body("openpose_18_hands", **arm("right")), "openpose_18_hands", (1000, 1000)) == expected
    with pytest.raises(ZooError, match="hand_21 has no left_shoulder"):
        CROPS.crops(hand(0), "hand_21", (1000, 1000))


def test_hands_are_moved_back_to_where_they_were_cut_out() -> None:
    pose = body(nose=(5, 6), **arm())
    crop = HandCrop(person=0, side="left", x=225, y=258, size=150)
    both = joined(pose, [(crop, hand(10))])
    assert both.keypoints.shape == (1, 60, 2)
    np.testing.assert_array_equal(both.keypoints[0, :18], pose.keypoints[0])
    np.testing.assert_array_equal(both.keypoints[0, 18:39], hand(10).keypoints[0] + (225, 258))
    np.testing.assert_array_equal(both.scores[0, 18:39], hand(10).scores[0])
    assert not both.present[0, 39:].any() and not both.scores[0, 39:].any()
    np.testing.assert_array_equal(both.boxes, pose.boxes)
    np.testing.assert_array_equal(both.instance_scores, pose.instance_scores)


def test_the_right_hand_is_the_last_part_and_its_persons_own() -> None:
    one = body(nose=(1, 2))
    two = Poses(*(np.concatenate([getattr(one, name)] * 2) for name in ("keypoints", "scores", "boxes", "instance_scores")))
    both = joined(two, [(HandCrop(1, "right", 100, 0, 50), hand(0))])
    names = SKELETONS["openpose_18_hands"].keypoints
    assert not both.present[0, 18:].any()
    found = {names[kind] for kind in np.flatnonzero(both.present[1])}
    assert "right_hand_wrist" in found and "right_hand_pinky_finger4" in found and "right_hand_thumb3" not in found
    assert not any(name.startswith("left_hand") for name in found)
    assert both.keypoints[1, names.index("right_hand_thumb1")].tolist() == [101, 1]


def test_the_best_of_several_hands_in_a_crop_is_taken() -> None:
    several = [getattr(one, name) for name in ("keypoints", "scores", "boxes", "instance_scores") for one in (hand(1, 0.4), hand(7, 0.8))]
    hands = Poses(*(np.concatenate(several[i : i + 2]) for i in range(0, 8, 2)))
    assert joined(body(nose=(1, 2)), [(HandCrop(0, "left", 0, 0, 50), hands)]).keypoints[0, 18, 0] == 7


def test_no_hand_found_and_nobody_there_are_no_special_cases() -> None:
    nothing: Any = Poses.of(np.zeros((0, 21, 2)), np.zeros((0, 21)), np.zeros(0))
    assert not joined(body(nose=(1, 2)), [(HandCrop(0, "left", 0, 0, 50), nothing)]).present[0, 18:].any()
    nobody = Poses.of(np.zeros((0, 18, 2)), np.zeros((0, 18)), np.zeros(0))
    assert joined(nobody, []).keypoints.shape == (0, 60, 2)
    assert CROPS.crops(nobody, "openpose_18", (100, 100)) == []


def test_poses_of_other_skeletons_are_not_joined() -> None:
    with pytest.raises(ZooError, match="18 keypoints were expected, these poses have 17"):
        joined(body("coco_17", nose=(1, 2)), [])
    with pytest.raises(ZooError, match="21 keypoints were expected, these poses have 18"):
        joined(body(nose=(1, 2)), [(HandCrop(0, "left", 0, 0, 50), body(nose=(1, 2)))])
