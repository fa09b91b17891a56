"""The hand decoder: equal to the original on its own maps, harmless on any others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.errors import StepFailed
from zoo.pose.decoders import HandPeaksDecoder
from zoo.pose.decoders.maps import over_image, pick
from zoo.pose.geometry import Affine, View
from zoo.pose.skeletons import SKELETONS

DECODER = HandPeaksDecoder(heatmaps="heat")


def laid(shape: tuple[int, int], image: tuple[int, int], content: tuple[int, int] | None = None) -> Affine:
    """An image (width, height) at the top left of the input of maps of `shape` (h, w) with stride 8, `content` large there."""
    size = (shape[1] * 8, shape[0] * 8)
    across, down = content or size
    matrix = np.array([[across / image[0], 0, 0], [0, down / image[1], 0]])
    return Affine(matrix, image, size, (0, 0, across, down))


def bumps(size: tuple[int, int], *places: tuple[float, float, float]) -> Any:
    """(1, 22, h, w) whose first channel has a bump of a height at each (x, y, height), in pixels of the map."""
    y, x = np.mgrid[: size[0], : size[1]]
    maps = np.zeros((1, 22, *size), np.float32)
    for px, py, height in places:
        maps[0, 0] = np.maximum(maps[0, 0], height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4))
    return maps


def plainly(plane: Any, sigma: float = 3, threshold: float = 0.05) -> tuple[int, int] | None:
    """Steps 2 and 3 as the protocol words them, over the whole map."""
    ndimage = pytest.importorskip("scipy.ndimage")
    labels, count = ndimage.label(ndimage.gaussian_filter(plane.astype(np.float64), sigma) > threshold, np.ones((3, 3)))
    if not count:
        return None
    best = max(range(1, count + 1), key=lambda label: plane[labels == label].sum())
    y, x = divmod(int(np.where(labels == best, plane, -np.inf).argmax()), plane.shape[1])
    return x, y


@pytest.mark.assets
@pytest.mark.parametrize("case", ["case0", "case1"])
def test_peaks_over_four_scales_equal_the_originals(assets: Path, case: str) -> None:
    folder = assets / "goldens/pre_post"
    facts = json.loads((folder / "hand_peaks.json").read_text())[case]
    image = facts["image_width"], facts["image_height"]
    views = []
    with np.load(folder / "hand_maps.npz") as file:
        for scale in facts["scales"]:
            maps = file[f"{case}.scale{float(scale)}.maps"][None]
            factor = scale * 368 / image[1]
            content = round(image[0] * factor), round(image[1] * factor)
            views.append(View({"heat": maps}, laid(maps.shape[2:], image, content)))
    poses = DECODER.decode_views(views)
    expected = np.array(facts["peaks_xy"], float)
    expected[(expected == 0).all(axis=1)] = np.nan
    np.testing.assert_array_equal(poses.keypoints[0], expected)
    averaged = np.mean([over_image(pick(view.outputs, "heat", 21), view.affine, 8) for view in views], axis=0)
    for kind, (x, y) in enumerate(poses.keypoints[0]):
        assert poses.scores[0, kind] == pytest.approx(0 if np.isnan(x) else averaged[int(y), int(x), kind], abs=1e-5)
    assert poses.instance_scores[0] == pytest.approx(poses.scores[poses.present].mean())


@pytest.mark.parametrize("seed", range(6))
def test_smoothing_only_near_what_is_strong_finds_what_smoothing_everything_does(seed: int) -> None:
    """Few blobs, many, and at every border."""
    random = np.random.default_rng(seed)
    maps = np.zeros((1, 22, 20, 26), np.float32)
    for kind in range(21):
        places = random.uniform(-1, 26, (1 + kind % 5, 2)).tolist()
        maps[0, kind] = bumps((20, 26), *[(x, y, random.uniform(0.02, 0.5)) for x, y in places])[0, 0]
    maps += random.normal(0, 0.01, maps.shape).astype(np.float32)
    affine = laid((20, 26), (170, 140))
    poses = DECODER.decode({"heat": maps}, affine)
    planes = over_image(maps[0, :21].transpose(1, 2, 0), affine, 8)
    expected = [plainly(planes[..., kind]) or (np.nan, np.nan) for kind in range(21)]
    np.testing.assert_array_equal(poses.keypoints[0], expected)


def test_the_region_with_the_greatest_sum_wins_over_the_highest_peak() -> None:
    maps = bumps((30, 30), (6, 6, 0.9), (20, 20, 0.8), (21, 22, 0.8))
    x, y = DECODER.decode({"heat": maps}, laid((30, 30), (240, 240))).keypoints[0, 0]
    assert abs(x - 8 * 20.5) < 12 and abs(y - 8 * 21) < 14


def test_a_keypoint_is_absent_where_its_smoothed_map_stays_under_the_threshold() -> None:
    """A point of 0.3, one pixel wide, is smoothed away; its neighbour in the next channel is not."""
    maps = bumps((30, 30), (10, 10, 0.5))
    maps[0, 1] = bumps((30, 30), (10, 10, 0.05))[0, 0]
    poses = DECODER.decode({"heat": maps}, laid((30, 30), (240, 240)))
    assert poses.present[0].tolist() == [True] + [False] * 20
    assert poses.scores[0, 1:].tolist() == [0] * 20
    assert poses.instance_scores[0] == poses.scores[0, 0] == pytest.approx(0.5, abs=0.02)
    lone = np.zeros((60, 60), np.float32)
    lone[30, 30] = 0.3
    assert DECODER._peak(lone) is None
    assert HandPeaksDecoder(heatmaps="heat", sigma=0.5)._peak(lone) == (30, 30, pytest.approx(0.3))


def test_views_are_averaged() -> None:
    """What one view alone would see is halved, what both see stays."""
    once, twice = bumps((20, 20), (5, 5, 0.8)), bumps((40, 40), (30.5, 30.5, 0.6))
    image = (160, 160)
    small, large = View({"heat": once}, laid((20, 20), image)), View({"heat": twice}, laid((40, 40), image))
    both = View({"heat": bumps((20, 20), (15, 15, 0.6))}, laid((20, 20), image))
    assert DECODER.decode_views([small, large]).scores[0, 0] == pytest.approx(0.4, abs=0.02)
    assert DECODER.decode_views([both, large]).scores[0, 0] > 0.55
    assert np.abs(DECODER.decode_views([both, large]).keypoints[0, 0] - 15.5 * 8).max() < 4


def test_padding_is_no_part_of_the_image() -> None:
    maps = bumps((20, 30), (25, 10, 0.9), (5, 10, 0.5))
    poses = DECODER.decode({"heat": maps}, laid((20, 30), (80, 80), (160, 160)))
    assert np.abs(poses.keypoints[0, 0] - (22, 42)).max() < 3


def test_maps_without_a_hand_give_none() -> None:
    poses = DECODER.decode({"heat": np.zeros((1, 22, 10, 10), np.float32)}, laid((10, 10), (50, 60)))
    assert len(poses) == 0 and poses.keypoints.shape == (0, 21, 2)


def test_background_is_not_read() -> None:
    maps = bumps((20, 20), (5, 5, 0.8))
    maps[0, 21] = np.nan
    poses = DECODER.decode({"heat": maps}, laid((20, 20), (100, 100)))
    assert poses.present.sum() == 1 and poses.keypoints.shape == (1, len(SKELETONS[DECODER.skeleton].keypoints), 2)


@settings(max_examples=40, deadline=None)
@given(
    maps=arrays(np.float32, (1, 21, 4, 5), elements=st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 3e38])),
    image=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_no_values_whatever_break_it(maps: Any, image: tuple[int, int]) -> None:
    before = maps.copy()
    poses = DECODER.decode({"heat": maps}, laid((4, 5), image))
    np.testing.assert_array_equal(maps, before)
    assert len(poses) in (0, 1)
    points = poses.keypoints[poses.present]
    assert (points >= 0).all() and (points < image).all()
    assert np.isfinite(poses.scores).all()


def test_views_of_different_images_are_refused() -> None:
    maps = bumps((10, 10), (5, 5, 0.8))
    views = [View({"heat": maps}, laid((10, 10), (side, 60))) for side in (50, 60)]
    with pytest.raises(StepFailed, match="50 x 60, 60 x 60"):
        DECODER.decode_views(views)
    with pytest.raises(StepFailed, match="no view"):
        DECODER.decode_views([])


@pytest.mark.parametrize("shape", [(1, 20, 10, 10), (2, 22, 10, 10), (1, 22, 10, 0)])
def test_an_output_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StepFailed, match="heat"):
        DECODER.decode({"heat": np.zeros(shape, np.float32)}, laid((10, 10), (50, 60)))
