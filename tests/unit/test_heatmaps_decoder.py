"""Heatmaps of one person: equal to a plain loop over its keypoints on any maps, and the inverse of what they are trained towards."""

import math
from functools import partial
from typing import Any, Literal, get_args

import msgspec
import numpy as np
import plain_crops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo.pose.decoders import HeatmapsDecoder
from zoo.pose.decoders.crops import PersonSkeleton
from zoo.pose.decoders.refine import dark
from zoo.pose.fits import Box, Stretch
from zoo.pose.skeletons import SKELETONS

Refine = Literal["none", "quarter", "dark"]
INPUT = (192, 256)
#: pixels of the image are pixels of the input
PLAIN = Stretch(width=INPUT[0], height=INPUT[1]).affine(INPUT)
CELL = 4


def decoder_of(refine: Refine, **fields: Any) -> HeatmapsDecoder:
    return HeatmapsDecoder(heatmaps="maps", refine=refine, **fields)


def affines_of(width: int, height: int) -> list[Any]:
    fit = Box(width=4 * width, height=4 * height)
    return [fit.affine((64, 48), np.array(box)) for box in ((3.0, 4, 9, 20), (-5.0, 0, 70, 11))]


#: few values, so that equal ones meet
VALUES = st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-30]) | st.floats(width=32)


@settings(max_examples=60, deadline=None)
@given(
    maps=st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda size: arrays(np.float32, (2, 17, *size), elements=VALUES)),
    refine=st.sampled_from(["none", "quarter"]),
)
def test_whatever_the_values_it_is_the_plain_loop(maps: Any, refine: Any) -> None:
    affines = affines_of(maps.shape[3], maps.shape[2])
    expected = plain_crops.heatmaps(maps, affines, getattr(plain_crops, refine))
    found = decoder_of(refine).decode_crops({"maps": maps}, affines)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(found[1], expected[1])


@settings(max_examples=60, deadline=None)
@given(
    maps=arrays(np.float32, (2, 17, 9, 10), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan, np.inf, -np.inf]), fill=st.just(0.25)),
    kernel=st.sampled_from([3, 5, 11]),
)
def test_dark_on_plateaus_and_at_borders_is_the_plain_loop(maps: Any, kernel: int) -> None:
    affines = affines_of(10, 9)
    expected = plain_crops.heatmaps(maps, affines, partial(plain_crops.dark, kernel=kernel))
    found = decoder_of("dark", kernel=kernel).decode_crops({"maps": maps}, affines)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("noise", [0, 0.02, 0.2])
def test_dark_on_noisy_gaussians_is_the_plain_loop(noise: float) -> None:
    random = np.random.default_rng(0)
    decoder = decoder_of("dark")
    maps, _ = decoder.encode(random.uniform(-8, (200, 264), (4, 17, 2)), np.ones((4, 17)), INPUT, 2)
    maps += random.normal(0, noise, maps.shape).astype(np.float32)
    expected = plain_crops.heatmaps(maps, [PLAIN] * 4, plain_crops.dark)
    found = decoder.decode_crops({"maps": maps}, [PLAIN] * 4)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("refine", ["none", "quarter"])
def test_decoding_what_was_encoded_gives_the_point_within_half_a_cell(refine: Refine) -> None:
    points = np.random.default_rng(1).uniform(0, np.array(INPUT) - CELL, (6, 17, 2))
    decoder = decoder_of(refine)
    maps, weights = decoder.encode(points, np.ones((6, 17)), INPUT, 2)
    keypoints, scores = decoder.decode_crops({"maps": maps}, [PLAIN] * 6)
    assert maps.shape == (6, 17, 64, 48) and weights.all()
    assert np.abs(keypoints - points).max() <= CELL / 2 + 1e-9
    np.testing.assert_array_equal(scores, 1)


def test_dark_finds_what_was_encoded_within_a_twentieth_of_a_cell() -> None:
    """Away from the border by what the two gaussians reach."""
    points = np.random.default_rng(2).uniform(13 * CELL, np.array(INPUT) - 14 * CELL, (8, 17, 2))
    decoder = decoder_of("dark")
    maps, _ = decoder.encode(points, np.ones((8, 17)), INPUT, 2)
    keypoints, scores = decoder.decode_crops({"maps": maps}, [PLAIN] * 8)
    assert np.abs(keypoints - points).max() < 0.05 * CELL
    assert np.abs(decoder_of("quarter").decode_crops({"maps": maps}, [PLAIN] * 8)[0] - points).max() > 0.2 * CELL
    assert (scores <= 1).all() and (scores > 0.88).all()


def test_a_target_is_a_gaussian_about_the_nearest_cell_cut_at_three_sigma() -> None:
    points = np.zeros((1, 17, 2))
    points[0, :6] = [[41.9, 82], [42, 82], [-24, 82], [-31, 82], [192 + 16, 82], [192 + 24, 82]]
    visible = np.ones((1, 17))
    visible[0, 6:] = 0.4
    maps, weights = decoder_of("quarter").encode(points, visible, INPUT, 2)
    assert weights[0].tolist() == [1, 1, 1, 0, 1, 0] + [0] * 11
    y, x = np.mgrid[:64, :48]
    for joint, cell in ((0, 10), (1, 11), (2, -6), (4, 52)):
        expected = np.exp(-((x - cell) ** 2 + (y - 21) ** 2) / 8) * (abs(x - cell) <= 6) * (abs(y - 21) <= 6)
        np.testing.assert_allclose(maps[0, joint], expected, atol=1e-7)
    assert not maps[weights == 0].any()


def test_a_quarter_goes_towards_the_higher_neighbour_and_nowhere_between_equal_ones() -> None:
    maps = np.zeros((1, 17, 64, 48), np.float32)
    maps[0, :, 30, 20] = 1
    maps[0, 0, 30, 21], maps[0, 0, 29, 20] = 0.5, 0.4
    maps[0, 1, 30, 19], maps[0, 1, 31, 20] = 0.1, 0.2
    keypoints, _ = decoder_of("quarter").decode_crops({"maps": maps}, [PLAIN])
    assert keypoints[0, :3].tolist() == [[81, 119], [79, 121], [80, 120]]
    assert decoder_of("none").decode_crops({"maps": maps}, [PLAIN])[0][0, :2].tolist() == [[80, 120]] * 2


def test_cells_become_pixels_in_the_proportion_of_the_sizes() -> None:
    """Maps of any size; the proportion of each axis is its own."""
    maps = np.zeros((1, 17, 32, 16), np.float32)
    maps[0, :, 8, 3] = 0.7
    poses = decoder_of("none").decode({"maps": maps}, PLAIN)
    assert poses.keypoints[0].tolist() == [[36, 64]] * 17
    assert poses.instance_scores[0] == pytest.approx(0.7)


def test_dark_stays_where_the_smoothed_map_is_not_positive() -> None:
    lone = np.full((2, 20, 20), -1, np.float32)
    lone[:, 10, 10] = 1
    cells = np.array([[10, 10], [1, 9]])
    assert dark(lone, cells, 3).tolist() == cells.tolist()
    assert dark(lone[:0], cells[:0], 3).shape == (0, 2)


@pytest.mark.parametrize("kernel", [3, 7, 11, 21])
def test_dark_stays_where_the_map_is_flat_but_for_rounding(kernel: int) -> None:
    """Along both diagonals, where what cancels is summed in different orders; and everywhere."""
    y, x = np.mgrid[:60, :60]
    planes = np.stack([np.exp(-((x + y - 61) ** 2) / 90), np.exp(-((x - y + 1) ** 2) / 90), np.full((60, 60), 0.3)]).astype(np.float32)
    cells = np.array([[30, 30], [29, 31], [31, 29]])
    assert dark(planes, cells, kernel).tolist() == cells.tolist()


def test_a_mirrored_target_says_the_same_of_the_crop() -> None:
    """Left and right are swapped, and cell 0 is what was the last."""
    decoder = decoder_of("dark")
    points = np.random.default_rng(3).uniform(0, 180, (3, 17, 2))
    mirrored = points[:, SKELETONS["coco_17"].swaps]
    mirrored[..., 0] = 47 * CELL - mirrored[..., 0]
    straight, turned = (decoder.encode(each, np.ones((3, 17)), INPUT, 2)[0] for each in (points, mirrored))
    np.testing.assert_allclose(decoder.unmirrored({"maps": turned})["maps"], straight, atol=1e-6)


def test_shifted_maps_are_one_cell_farther_right_and_the_first_column_stays() -> None:
    maps = np.arange(17 * 2 * 4, dtype=np.float32).reshape(1, 17, 2, 4)
    still, moved = (decoder_of("none", shift=shift).unmirrored({"maps": maps})["maps"] for shift in (False, True))
    assert still[0, 0, 0].tolist() == [3, 2, 1, 0] and moved[0, 0, 0].tolist() == [3, 3, 2, 1]
    np.testing.assert_array_equal(moved[..., 1:], still[..., :-1])
    assert maps[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="kernel: 12 is even"):
        msgspec.convert({"type": "heatmap_peaks", "heatmaps": "maps", "kernel": 12}, HeatmapsDecoder)


def test_a_person_may_have_every_skeleton_that_has_keypoints() -> None:
    assert set(get_args(PersonSkeleton)) == {name for name, skeleton in SKELETONS.items() if skeleton.keypoints}
    assert math.prod(HeatmapsDecoder(heatmaps="maps", skeleton="hand_21").reads().values()) == 21
