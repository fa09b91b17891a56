"""SimCC: equal to the original on its own vectors, and to a plain loop on any others."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import plain_crops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.errors import StepFailed
from zoo.pose.decoders import SimccDecoder
from zoo.pose.fits import Box, Stretch
from zoo.pose.skeletons import SKELETONS

DECODER = SimccDecoder(x="x", y="y")
#: pixels of the image are pixels of the input
PLAIN = Stretch(width=192, height=256).affine((192, 256))


@pytest.fixture(scope="module")
def golden(assets: Path) -> dict[str, Any]:
    with np.load(assets / "goldens/pre_post/topdown.npz") as file:
        return {name: file[name] for name in file if not name.startswith("crop.")}


def outputs(golden: dict[str, Any]) -> dict[str, Any]:
    return {"x": golden["simcc_x"].astype(np.float32), "y": golden["simcc_y"].astype(np.float32)}


def check(found: tuple[Any, Any], keypoints: Any, scores: Any) -> None:
    """Equal to the original's, who writes -1 bin and a score of 0 or less where a keypoint is absent."""
    np.testing.assert_array_equal(np.where(np.isnan(found[0]), -0.5, found[0]), keypoints)
    np.testing.assert_array_equal(found[1], np.maximum(scores, 0))
    np.testing.assert_array_equal(np.isnan(found[0][..., 0]), scores <= 0)


@pytest.mark.assets
def test_decoded_vectors_equal_the_originals(golden: dict[str, Any]) -> None:
    assert (golden["decoded_scores"] <= 0).any(), "the golden has no absent keypoint"
    check(DECODER.decode_crops(outputs(golden), [PLAIN] * 4), golden["decoded_keypoints_input_px"], golden["decoded_scores"])


@pytest.mark.assets
def test_the_flip_test_equals_the_originals(golden: dict[str, Any]) -> None:
    """Its mirrored vectors are those of the instances in reverse order."""
    assert golden["flip_indices"].tolist() == list(SKELETONS["coco_17"].swaps)
    straight = outputs(golden)
    back = DECODER.unmirrored({name: vectors[::-1] for name, vectors in straight.items()})
    averaged = {name: (straight[name] + back[name]) / 2 for name in straight}
    check(DECODER.decode_crops(averaged, [PLAIN] * 4), golden["fliptest_keypoints_input_px"], golden["fliptest_scores"])


@pytest.mark.assets
def test_keypoints_lie_in_the_image_where_the_original_puts_them(golden: dict[str, Any]) -> None:
    affines = [Box(width=192, height=256).affine((640, 480), box) for box in golden["affine_boxes_xyxy"][:4]]
    keypoints, scores = DECODER.decode_crops(outputs(golden), affines)
    # the original's boxes are float32
    np.testing.assert_allclose(keypoints[scores > 0], golden["backproject_image_px"][scores > 0], rtol=1e-6, atol=1e-6)


@pytest.mark.assets
def test_encoded_points_equal_the_originals(golden: dict[str, Any]) -> None:
    found = DECODER.encode(golden["encode_keypoints"], golden["encode_visible"], (192, 256), (4.9, 5.66))
    for array, name in zip(found, ("x", "y", "weights"), strict=True):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, golden[f"encode_{name}"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("split", [1.0, 2.0, 3.0])
def test_decoding_what_was_encoded_gives_the_point_within_half_a_bin(split: float) -> None:
    points = np.random.default_rng(0).uniform(0, (191, 255), (5, 17, 2))
    decoder = msgspec.structs.replace(DECODER, split=split)
    x, y, weights = decoder.encode(points, np.ones((5, 17)), (192, 256), (4.9, 5.66))
    keypoints, scores = decoder.decode_crops({"x": x, "y": y}, [PLAIN] * 5)
    assert weights.all()
    assert np.abs(keypoints - points).max() <= 0.5 / split + 1e-9
    np.testing.assert_allclose(scores, 1)


VALUES = st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-30]) | st.floats(width=32)


@settings(max_examples=40, deadline=None)
@given(x=arrays(np.float32, (2, 17, 8), elements=VALUES), y=arrays(np.float32, (2, 17, 12), elements=VALUES))
def test_whatever_the_values_it_is_the_plain_loop(x: Any, y: Any) -> None:
    affines = [Box(width=4, height=6).affine((64, 48), np.array(box)) for box in ((3.0, 4, 9, 20), (-5.0, 0, 70, 11))]
    expected = plain_crops.simcc(x, y, affines)
    found = DECODER.decode_crops({"x": x, "y": y}, affines)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(found[1], expected[1])


def test_the_score_may_be_the_mean_of_both_maxima() -> None:
    x, y = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
    x[0, :, 100], y[0, :, 301] = 0.5, 0.25
    y[0, 1] = -1
    least = DECODER.decode({"x": x, "y": y}, PLAIN)
    assert least.keypoints[0, 0].tolist() == [50, 150.5] and least.scores[0, 0] == 0.25
    mean = msgspec.structs.replace(DECODER, score="mean").decode({"x": x, "y": y}, PLAIN)
    assert mean.scores[0, 0] == 0.375
    assert least.present[0].tolist() == mean.present[0].tolist() == [True, False] + [True] * 15
    assert least.instance_scores.tolist() == [0.25]


def test_bins_that_are_not_split_times_the_input_are_refused() -> None:
    vectors = {"x": np.zeros((1, 17, 384), np.float32), "y": np.zeros((1, 17, 768), np.float32)}
    with pytest.raises(StepFailed, match="'y' has 768 bins for 256 pixels of the input, 2 a pixel are declared"):
        DECODER.decode(vectors, PLAIN)


@pytest.mark.filterwarnings("error")
def test_infinities_of_opposite_signs_are_absent() -> None:
    vectors = {"x": np.full((1, 17, 384), np.inf, np.float32), "y": np.full((1, 17, 512), -np.inf, np.float32)}
    assert len(msgspec.structs.replace(DECODER, score="mean").decode(vectors, PLAIN)) == 0
