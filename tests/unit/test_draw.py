"""Drawings: what is shown, what never is, and that the image given stays as it was."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.errors import ZooError
from zoo.pose.draw import _colour, draw
from zoo.pose.keypoints import Poses
from zoo.pose.skeletons import SKELETONS

COCO = SKELETONS["coco_17"]
NOBODY = Poses.of(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros(0))


def grey(width: int = 200, height: int = 160) -> Any:
    return np.full((height, width, 3), 90, np.uint8)


def person(scores: float = 1.0, rank: float = 1.0, **points: tuple[float, float]) -> Poses:
    keypoints = np.full((1, 17, 2), np.nan)
    for name, point in points.items():
        keypoints[0, COCO.keypoints.index(name)] = point
    return Poses.of(keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, scores), np.array([rank]))


def together(*people: Poses) -> Poses:
    return Poses(*(np.concatenate([getattr(one, name) for one in people]) for name in ("keypoints", "scores", "boxes", "instance_scores")))


def colour_of(a: str, b: str) -> tuple[int, ...]:
    limb = (COCO.keypoints.index(a), COCO.keypoints.index(b))
    return COCO.colours[COCO.limbs.index(limb)]


def test_a_limb_and_its_joints_are_where_the_keypoints_are() -> None:
    pose = person(left_shoulder=(40, 80), left_elbow=(160, 80))
    drawn = draw(grey(), pose, COCO, thickness=12, opacity=1)
    assert tuple(drawn[80, 100]) == colour_of("left_shoulder", "left_elbow")
    assert tuple(drawn[80, 160]) == COCO.joint_colours[COCO.keypoints.index("left_elbow")]
    assert (drawn[80, 168] > 240).all()
    changed = np.argwhere((drawn != grey()).any(axis=-1))
    assert changed.min(axis=0).tolist() >= [65, 25] and changed.max(axis=0).tolist() <= [95, 175]
    assert abs(changed[:, 0].mean() - 80) < 0.1 and abs(changed[:, 1].mean() - 100) < 0.6


def test_strokes_follow_fractions_of_pixels() -> None:
    """The centre of mass of a drawn joint is its keypoint to a tenth of a pixel."""
    for x, y in [(50.0, 60.0), (50.25, 60.5), (50.5, 60.75)]:
        drawn = draw(np.zeros((120, 120, 3), np.uint8), person(nose=(x, y)), COCO, thickness=9, opacity=1).astype(float)[..., 1]
        rows, columns = np.mgrid[:120, :120]
        assert abs((drawn * columns).sum() / drawn.sum() - x) < 0.1
        assert abs((drawn * rows).sum() / drawn.sum() - y) < 0.1


def test_edges_are_smooth() -> None:
    drawn = draw(grey(), person(left_hip=(30, 30), left_knee=(150, 110)), COCO, thickness=6, opacity=1)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_an_absent_keypoint_takes_its_limbs_away() -> None:
    drawn = draw(grey(), person(left_shoulder=(40, 80), left_wrist=(160, 80)), COCO, thickness=6, opacity=1)
    assert tuple(drawn[80, 100]) == (90, 90, 90)
    assert tuple(drawn[80, 40]) != (90, 90, 90)


def test_the_image_given_stays_as_it_was() -> None:
    image = grey()
    image.setflags(write=False)
    drawn = draw(image, person(nose=(50, 50)), COCO, boxes=True)
    assert (image == 90).all() and (drawn != 90).any()
    assert not np.shares_memory(draw(image, NOBODY, COCO), image)
    np.testing.assert_array_equal(draw(image, NOBODY, COCO), image)


def test_a_mirrored_view_can_be_drawn_on() -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)[:, ::-1]
    pose = person(nose=(50, 50), left_eye=(55, 45))
    np.testing.assert_array_equal(draw(image, pose, COCO), draw(image.copy(), pose, COCO))


def test_keypoints_under_the_threshold_are_left_out() -> None:
    pose = person(scores=0.3, nose=(50, 50))
    assert (draw(grey(), pose, COCO, threshold=0.31) == 90).all()
    assert (draw(grey(), pose, COCO, threshold=0.3) != 90).any()


def test_a_person_without_keypoints_is_not_drawn_and_warns_nobody() -> None:
    nothing = Poses(np.full((1, 17, 2), np.nan), np.zeros((1, 17)), np.full((1, 4), np.nan), np.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (draw(grey(), nothing, COCO, boxes=True) == 90).all()


def test_boxes_are_drawn_when_asked_for() -> None:
    pose = person(nose=(40, 40), left_ankle=(150, 140))
    without, framed = draw(grey(), pose, COCO), draw(grey(), pose, COCO, boxes=True)
    assert (without[40, 100] == 90).all()
    assert (framed[40, 100] > 200).all() and (framed[140, 100] > 200).all() and (framed[90, 40] > 200).all()
    assert (framed[90, 95] == 90).all()


def test_the_most_certain_person_is_on_top() -> None:
    sure = person(rank=0.9, left_shoulder=(100, 20), left_elbow=(100, 140))
    unsure = person(rank=0.1, right_hip=(20, 80), right_knee=(180, 80))
    for people in (together(sure, unsure), together(unsure, sure)):
        drawn = draw(grey(), people, COCO, thickness=8, opacity=1)
        assert tuple(drawn[80, 100]) == colour_of("left_shoulder", "left_elbow")


def test_strokes_grow_with_the_person() -> None:
    def width(size: float) -> int:
        pose = person(left_shoulder=(500 - size, 300), left_hip=(500 + size, 300))
        return int((draw(grey(1000, 600), pose, COCO)[:, 500] != 90).any(axis=-1).sum())

    assert width(30) < width(200) < width(400)


def test_joints_that_crowd_are_smaller() -> None:
    def inked(distance: float) -> int:
        pose = person(nose=(100, 80), left_eye=(100 + distance, 80))
        return int((draw(grey(), pose, COCO, thickness=8)[:, 100] != 90).any(axis=-1).sum())

    assert inked(10) < inked(60)


BOTH = SKELETONS["openpose_18_hands"]


def with_hand(size: float, **points: tuple[float, float]) -> Poses:
    """A body with a left hand that is `size` pixels large: a wrist, and a forefinger that points down from it."""
    names = BOTH.keypoints
    keypoints = np.full((1, 60, 2), np.nan)
    for name, point in points.items():
        keypoints[0, names.index(name)] = point
    x, y = points["left_wrist"]
    keypoints[0, names.index("left_hand_wrist")] = x, y + 12
    keypoints[0, names.index("left_hand_forefinger1")] = x, y + 12 + size
    return Poses.of(keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, 1.0), np.ones(1))


ARM: dict[str, tuple[float, float]] = {"neck": (100, 20), "left_shoulder": (200, 20), "left_elbow": (200, 120), "left_wrist": (200, 220)}


def inked(drawn: Any, row: int) -> int:
    """How many pixels of a row near the arm were painted."""
    return int((drawn[row, 150:250] != 90).any(axis=-1).sum())


def test_fingers_are_much_thinner_than_limbs_and_grow_with_the_hand() -> None:
    for thickness in (None, 12.0):
        drawn = {size: draw(grey(400, 700), with_hand(size, **ARM), BOTH, thickness=thickness) for size in (40, 300)}
        arm, small, large = inked(drawn[40], 170), inked(drawn[40], 252), inked(drawn[300], 382)
        assert 1 <= small < large
        assert large <= 0.75 * arm and small <= 0.5 * arm


def test_hands_leave_their_body_as_it_is_drawn_without_them() -> None:
    """Neither its strokes nor its wrist follow the hand's size or crowd."""
    pose = with_hand(300, **ARM)
    body = Poses(pose.keypoints[:, :18], pose.scores[:, :18], pose.boxes, pose.instance_scores)
    with_it, without = (draw(grey(400, 700), *shown) for shown in ((pose, BOTH), (body, SKELETONS["openpose_18"])))
    np.testing.assert_array_equal(with_it[:215], without[:215])


def test_a_hand_without_a_body_is_drawn_in_either_skeleton() -> None:
    for name in ("hand_21", "openpose_18_hands"):
        skeleton = SKELETONS[name]
        keypoints = np.full((1, len(skeleton.keypoints), 2), np.nan)
        keypoints[0, -21:] = np.random.default_rng(0).uniform(20, 140, (21, 2))
        hand = Poses.of(keypoints, np.where(np.isnan(keypoints[..., 0]), 0.0, 1.0), np.ones(1))
        assert (draw(grey(), hand, skeleton) != 90).any(axis=-1).sum() > 500


@settings(max_examples=50, deadline=None)
@given(
    keypoints=arrays(np.float64, (2, 17, 2), elements=st.floats(width=64)),
    box=arrays(np.float64, (2, 4), elements=st.floats(width=64)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_no_coordinate_whatever_breaks_a_drawing(keypoints: Any, box: Any, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    drawn = draw(image, Poses(keypoints, np.ones((2, 17)), box, np.ones(2)), COCO, boxes=True)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    draw(image, Poses(np.resize(keypoints, (2, 60, 2)), np.ones((2, 60)), box, np.ones(2)), BOTH)


def test_poses_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ZooError, match="18 keypoints, these poses have 17"):
        draw(grey(), person(nose=(1, 1)), SKELETONS["openpose_18"])


# people without keypoints

PERSON = SKELETONS["person"]


def test_people_without_keypoints_have_their_boxes_and_scores_drawn() -> None:
    drawn = draw(grey(), Poses.of_boxes(np.array([[60.0, 50, 140, 130]]), np.array([0.87])), PERSON, opacity=1)
    changed = (drawn != grey()).any(axis=-1)
    for row, column in ((90, 60), (90, 139), (50, 130), (129, 100)):  # the middles of the sides
        assert changed[row, column]
    assert not changed[60:120, 70:130].any()  # nothing inside of it
    rows, columns = np.argwhere(changed).T
    assert columns.min() >= 55 and columns.max() <= 144 and rows.max() <= 134
    assert changed[30:46, 60:80].any()  # the score stands on its upper side


def test_a_box_under_the_threshold_or_unknown_is_not_drawn() -> None:
    poses = Poses.of_boxes(np.array([[60.0, 50, 140, 130], [np.nan] * 4]), np.array([0.2, 0.9]))
    np.testing.assert_array_equal(draw(grey(), poses, PERSON, threshold=0.3), grey())
    assert (draw(grey(), poses, PERSON) != grey()).any()


@pytest.mark.parametrize(
    "box", [(-50, -40, 500, 400), (-1e30, -1e30, 1e30, 1e30), (190, 150, 199, 159), (0, 0, 3, 3), (-90, -90, -50, -50), (5, 5, 5, 5)]
)
def test_a_box_may_lie_anywhere(box: tuple[float, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for image in (grey(), grey(1, 1), grey(20, 3)):
            assert draw(image, Poses.of_boxes(np.array([box], float), np.ones(1)), PERSON).shape == image.shape


def plate(drawn: Any, colour: tuple[int, ...]) -> tuple[float, float, int]:
    """Where the middle of the pixels of a colour is, and how many there are."""
    rows, columns = np.nonzero((drawn == colour).all(axis=-1))
    return float(columns.mean()), float(rows.mean()), len(rows)


def test_a_number_stands_over_the_head_and_with_boxes_on_the_box() -> None:
    someone = person(nose=(150, 60), left_wrist=(20, 120), left_elbow=(60, 100))
    x, y, _ = plate(draw(grey(), someone, COCO, ids=np.array([0]), opacity=1), _colour(0))
    assert 145 < x < 170 and 35 < y < 60
    boxed = draw(grey(), someone, COCO, ids=np.array([0]), boxes=True, opacity=1)
    assert tuple(boxed[55, 22]) == _colour(0), "it stands on the corner of the box"


def test_nothing_of_another_person_covers_a_number() -> None:
    behind, before = person(rank=1, nose=(100, 60), left_wrist=(100, 120)), person(rank=2, left_shoulder=(60, 50), left_elbow=(140, 50))
    alone = plate(draw(grey(), behind, COCO, ids=np.array([4]), limbs=False, opacity=1), _colour(4))
    both = draw(grey(), together(behind, before), COCO, ids=np.array([4, 7]), thickness=8, opacity=1)
    assert plate(both, _colour(4))[2] == alone[2] > 40
