"""Landmarks in the input's pixels become a hand in the image's, if the network is sure of one."""

from typing import Any

import msgspec
import numpy as np
import pytest

from zoo.errors import StepFailed
from zoo.pose.decoders import LandmarksDecoder
from zoo.pose.fits import Letterbox, Stretch
from zoo.pose.geometry import Turn, View, turned
from zoo.pose.skeletons import SKELETONS

DECODER = LandmarksDecoder(landmarks="points", presence="hand")
AFFINE = Letterbox(width=224, height=224).affine((640, 480))


def outputs(presence: float = 0.9) -> dict[str, Any]:
    points = np.random.default_rng(0).uniform(0, 224, (1, 21, 3))
    return {"points": points.reshape(1, 63).astype(np.float32), "hand": np.full((1, 1), presence, np.float32)}


def test_the_hand_lies_where_the_input_came_from() -> None:
    given = outputs()
    (hand,) = DECODER.decode(given, AFFINE).keypoints
    assert hand.shape == (len(SKELETONS[DECODER.skeleton].keypoints), 2)
    np.testing.assert_allclose(AFFINE.to_input(hand), given["points"].reshape(21, 3)[:, :2], atol=1e-4)


def test_every_keypoint_has_the_presence_as_its_score() -> None:
    poses = DECODER.decode(outputs(0.75), AFFINE)
    assert poses.scores.tolist() == [[0.75] * 21]
    assert poses.instance_scores.tolist() == [0.75]
    np.testing.assert_allclose(poses.boxes[0], [*poses.keypoints[0].min(axis=0), *poses.keypoints[0].max(axis=0)])


@pytest.mark.parametrize(("presence", "hands"), [(0.49, 0), (0.5, 1), (1.0, 1), (np.nan, 0)])
def test_a_hand_needs_the_threshold(presence: float, hands: int) -> None:
    poses = DECODER.decode(outputs(presence), AFFINE)
    assert len(poses) == hands
    assert poses.keypoints.shape == (hands, 21, 2)


def test_whoever_is_surely_no_hand_is_one_where_the_threshold_is_0() -> None:
    decoder = msgspec.structs.replace(DECODER, threshold=0)
    for found in (decoder.decode(outputs(0), AFFINE), decoder.decode_turns([View(outputs(0), AFFINE)] * 2)):
        assert found.present.all() and len(found) == 1
        assert found.scores.max() == pytest.approx(0)


def test_coordinates_that_are_no_numbers_are_no_hand() -> None:
    given = outputs()
    given["points"][0, 7] = np.inf
    assert len(DECODER.decode(given, AFFINE)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hand": np.zeros((1, 0), np.float32)}, r"'hand' has the shape \[1, 0\]"),
        ({"points": np.zeros((1, 60), np.float32)}, r"'points' has the shape \[1, 60\]"),
        ({"points": np.zeros((2, 63), np.float32)}, r"'points' has the shape \[2, 63\]"),
        ({"points": np.zeros((1, 63, 4, 4), np.float32)}, r"'points' has the shape \[1, 63, 4, 4\]"),
    ],
)
def test_outputs_of_another_shape_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        DECODER.decode(outputs() | change, AFFINE)


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(StepFailed, match="asks for the output 'points'"):
        DECODER.decode({"hand": np.ones((1, 1), np.float32)}, AFFINE)


def test_of_several_turns_the_surest_is_taken() -> None:
    views = [View(outputs(presence), AFFINE.after(turn)) for presence, turn in ((0.6, 0), (np.nan, 90), (0.9, 180), (0.2, 270))]
    poses = DECODER.decode_turns(views)
    assert poses.instance_scores[0] == pytest.approx(0.9)
    np.testing.assert_array_equal(poses.keypoints, DECODER.decode(*views[2]).keypoints)
    assert len(DECODER.decode_turns([View(outputs(0.1), AFFINE), View(outputs(0.4), AFFINE)])) == 0


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_image_and_its_affine_agree_pixel_by_pixel(turn: Turn) -> None:
    """Blue holds x and green y of the image: each pixel of the turned one then says where it came from."""
    image = np.stack([*np.meshgrid(np.arange(70), np.arange(50)), np.zeros((50, 70))], -1).astype(np.uint8)
    seen = turned(image, turn)
    affine = Stretch(width=seen.shape[1], height=seen.shape[0]).affine((seen.shape[1], seen.shape[0])).after(turn)
    assert affine.image == (70, 50)
    grid = np.stack(np.meshgrid(np.arange(seen.shape[1]), np.arange(seen.shape[0])), -1)
    np.testing.assert_allclose(affine.to_image(grid), seen[..., :2], atol=1e-9)


def test_a_quarter_turn_is_clockwise() -> None:
    image = np.array([[1, 2], [3, 4]])
    assert turned(image, 90).tolist() == [[3, 1], [4, 2]]
