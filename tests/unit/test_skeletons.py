"""The order of keypoints, and what COCO calls them."""

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.pose.decoders.limbs import OPENPOSE_18_LIMBS
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS, Skeleton, to_coco

every_skeleton = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def people(count: int) -> Poses:
    keypoints = np.arange(2 * count * 2, dtype=float).reshape(2, count, 2)
    return Poses.of(keypoints, np.arange(2 * count, dtype=float).reshape(2, count), np.array([0.5, 0.25]))


@every_skeleton
def test_every_table_fits_the_keypoints(skeleton: Skeleton) -> None:
    count = len(skeleton.keypoints)
    assert len(set(skeleton.keypoints)) == count
    assert len(skeleton.colours) == len(skeleton.limbs)
    assert {joint for limb in skeleton.limbs for joint in limb} == set(range(count))
    assert len({frozenset(limb) for limb in skeleton.limbs}) == len(skeleton.limbs)
    assert len(skeleton.joint_colours) == count
    assert len(skeleton.sigmas) in (0, count)


@every_skeleton
def test_mirroring_twice_changes_nothing_and_once_swaps_the_sides(skeleton: Skeleton) -> None:
    assert [skeleton.swaps[other] for other in skeleton.swaps] == list(range(len(skeleton.keypoints)))
    for name, other in zip(skeleton.keypoints, skeleton.swaps, strict=True):
        mirrored = skeleton.keypoints[other]
        assert (name == mirrored) == (not name.startswith(("left_", "right_")))
        assert name.replace("left_", "").replace("right_", "") == mirrored.replace("left_", "").replace("right_", "")
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.swaps[joint] for joint in limb) for limb in limbs} == limbs


@every_skeleton
def test_no_limb_of_one_side_has_a_colour_of_the_other(skeleton: Skeleton) -> None:
    sides: dict[str, set[tuple[int, ...]]] = {"left": set(), "right": set()}
    for (_, end), colour in zip(skeleton.limbs, skeleton.colours, strict=True):
        side = skeleton.keypoints[end].partition("_")[0]
        if side in sides and colour != (235, 120, 170):  # across the trunk
            sides[side].add(colour)
    assert bool(sides["left"]) == bool(sides["right"]) == (skeleton.name not in ("hand_21", "person"))
    assert not sides["left"] & sides["right"]


@every_skeleton
def test_parts_follow_one_another_and_limbs_stay_within_one(skeleton: Skeleton) -> None:
    assert [place for part in skeleton.parts for place in range(part.start, part.stop)] == list(range(len(skeleton.keypoints)))
    within = {joint: part.name for part in skeleton.parts for joint in range(part.start, part.stop)}
    assert all(within[a] == within[b] for a, b in skeleton.limbs)
    for part in skeleton.parts:
        if part.name in ("left_hand", "right_hand"):
            assert all(name.startswith(f"{part.name}_") for name in skeleton.keypoints[part.start : part.stop])


def test_a_mirrored_hand_is_the_other_hand_and_a_lone_one_stays_as_it_is() -> None:
    assert SKELETONS["hand_21"].swaps == tuple(range(21))
    both = SKELETONS["openpose_18_hands"]
    assert both.swaps[:18] == SKELETONS["openpose_18"].swaps
    assert both.swaps[18:] == (*range(39, 60), *range(18, 39))


def test_hands_are_the_same_in_every_skeleton_and_ordered_as_openpose_has_them() -> None:
    hand, both = SKELETONS["hand_21"], SKELETONS["openpose_18_hands"]
    fingers = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
    assert hand.keypoints == ("wrist", *(f"{finger}{joint}" for finger in fingers for joint in (1, 2, 3, 4)))
    assert {b: a for a, b in hand.limbs} == {joint: 0 if joint % 4 == 1 else joint - 1 for joint in range(1, 21)}
    assert list(both.parts) == [("body", 0, 18), ("left_hand", 18, 39), ("right_hand", 39, 60)]
    for _, start, stop in both.parts[1:]:
        assert tuple(name.partition("_hand_")[2] for name in both.keypoints[start:stop]) == hand.keypoints
        assert tuple((a - start, b - start) for a, b in both.limbs if start <= a < stop) == hand.limbs


def test_every_finger_of_a_hand_has_colours_of_its_own() -> None:
    for name in ("hand_21", "openpose_18_hands"):
        skeleton = SKELETONS[name]
        for part in skeleton.parts:
            fingers = [colour for (a, _), colour in zip(skeleton.limbs, skeleton.colours, strict=True) if part.start <= a < part.stop]
            assert part.name == "body" or len(set(fingers)) == 20


def test_openpose_goes_to_coco_as_the_models_facts_say() -> None:
    """MindSpore's, Lightweight OpenPose's and tf-pose's evaluations all use this one table."""
    pairs = "0:0 2:6 3:8 4:10 5:5 6:7 7:9 8:12 9:14 10:16 11:11 12:13 13:15 14:2 15:1 16:4 17:3"
    table = {int(coco): int(ours) for ours, coco in (pair.split(":") for pair in pairs.split())}
    assert SKELETONS["openpose_18"].coco == tuple(table[place] for place in range(17))


def test_openpose_bones_are_those_of_the_affinity_fields() -> None:
    assert SKELETONS["openpose_18"].limbs == tuple((limb.a, limb.b) for limb in OPENPOSE_18_LIMBS if not limb.fills_gaps)


def test_coco_flip_pairs_and_sigmas_are_those_of_its_evaluation() -> None:
    pycocotools = pytest.importorskip("pycocotools.cocoeval")
    coco = SKELETONS["coco_17"]
    assert coco.swaps == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
    np.testing.assert_allclose(coco.sigmas, pycocotools.Params(iouType="keypoints").kpt_oks_sigmas)


def test_to_coco_drops_the_neck_and_keeps_the_rest() -> None:
    poses = people(18)
    coco = to_coco(poses, "openpose_18")
    assert coco.keypoints.shape == (2, 17, 2)
    names = SKELETONS["openpose_18"].keypoints
    for place, name in enumerate(SKELETONS["coco_17"].keypoints):
        np.testing.assert_array_equal(coco.keypoints[:, place], poses.keypoints[:, names.index(name)])
        np.testing.assert_array_equal(coco.scores[:, place], poses.scores[:, names.index(name)])
    np.testing.assert_array_equal(coco.instance_scores, poses.instance_scores)


def test_coco_goes_to_coco_unchanged() -> None:
    np.testing.assert_array_equal(to_coco(people(17), "coco_17").keypoints, people(17).keypoints)


def test_hands_are_left_behind_on_the_way_to_coco() -> None:
    coco = to_coco(people(60), "openpose_18_hands")
    np.testing.assert_array_equal(coco.keypoints, people(60).keypoints[:, list(SKELETONS["openpose_18"].coco)])
    with pytest.raises(ZooError, match="hand_21 has none of COCO's keypoints"):
        to_coco(people(21), "hand_21")


def test_a_detectors_people_have_boxes_and_nothing_else() -> None:
    person, poses = SKELETONS["person"], Poses.of_boxes(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0.5]))
    assert (person.keypoints, person.limbs, person.parts, person.swaps, person.joint_colours) == ((),) * 5
    assert len(poses.reordered([])) == 1 and poses.reordered([]).boxes.tolist() == [[1, 2, 3, 4]]
    assert Poses.of(poses.keypoints, poses.scores, poses.instance_scores).boxes.shape == (1, 4)
    assert np.isnan(Poses.of(poses.keypoints, poses.scores, poses.instance_scores).boxes).all()
    with pytest.raises(ZooError, match="person has none of COCO's keypoints"):
        to_coco(poses, "person")


def test_nobody_goes_to_coco() -> None:
    assert to_coco(Poses.of(np.zeros((0, 18, 2)), np.zeros((0, 18)), np.zeros(0)), "openpose_18").keypoints.shape == (0, 17, 2)


def test_poses_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ZooError, match="18 keypoints, these poses have 17"):
        to_coco(people(17), "openpose_18")
