"""Variations: against what the original makes of images, and image, keypoints and mask against one another."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from goldens_of_training import IDS, Half, coco_mini, golden
from hypothesis import given
from hypothesis import strategies as st

from zoo.pose.augment import Augment, Colour, Tone, Variation, part_counted
from zoo.pose.geometry import Affine
from zoo.pose.skeletons import SKELETONS
from zoo.training.labels import Labels

SWAPS = SKELETONS["openpose_18"].swaps
BOX = np.array([60.0, 40.0, 140.0, 200.0])
SIZE = (240, 260)
CROP = (184, 168)
#: of the image itself, whatever its size: nothing but what a test asks for
STILL = {"scale": (1.0, 1.0), "target": 0.0, "rotate": 0.0, "shift": 0.0, "flip": 0.0}


def drawn(seed: int = 0, box: Any = BOX, boxes: Any = None, **fields: Any) -> Variation:
    return Augment(**fields).draw(np.random.default_rng(seed), SIZE, CROP, box, box[None] if boxes is None else boxes)


@pytest.mark.assets
@pytest.mark.parametrize("id", IDS)
def test_with_every_random_number_a_half_an_image_is_the_originals(assets: Path, id: int) -> None:
    """One map is not the original's three stages to the pixel. Its resize takes pixels for areas, which moves the image, and not the
    keypoints, by (scale - 1) / 2: where that is given back, the rest is one level of rounding. As it is, with the image where its
    keypoints are, it lies beside the original's by up to a third of a pixel."""
    (scene,) = (scene for scene in Labels().scenes(coco_mini(assets)) if scene.sample.id == id)
    pixels, box = coco_mini(assets).read(scene.sample), scene.boxes[scene.centres[0][0]]
    variation = Augment().draw(Half(), scene.size, (368, 368), box, scene.boxes)
    wanted = golden(assets, id, "aug_half").image_every8.transpose(1, 2, 0) * 256 + 128
    moved = variation.affine.matrix.copy()
    scale = math.hypot(moved[0, 0], moved[0, 1])
    assert variation.mirrored and scale == pytest.approx(0.8 * 0.6 * 368 / (box[3] - box[1]))
    moved[0, 2] -= (scale - 1) / 2  # mirrored: to the other side
    moved[1, 2] += (scale - 1) / 2
    as_original = replace(variation, affine=replace(variation.affine, matrix=moved)).image(pixels)[::8, ::8]
    apart, beside = (np.abs(one.astype(float) - wanted) for one in (as_original, variation.image(pixels)[::8, ::8]))
    assert apart.max() <= 1 and apart.mean() < 0.2
    assert abs(scale - 1) / 2 < 1 / 3 and beside.mean() < 4


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, x=st.integers(70, 130), y=st.integers(60, 180), area=st.integers(60, 400))
def test_keypoints_and_mask_move_with_the_image(seed: int, x: int, y: int, area: int) -> None:
    """A dot on black, and an ignored disc around it, are found where their keypoint went to."""
    across, down = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    squared = (across - x) ** 2 + (down - y) ** 2
    image = np.repeat(np.round(250 * np.exp(-squared / (2 * 4.0**2))).astype(np.uint8)[..., None], 3, axis=2)
    variation = drawn(seed, spread=None if seed % 2 else 3.0)
    people = np.zeros((1, 18, 3))
    people[0, 2] = x, y, 2
    moved = variation.keypoints(people, SWAPS)
    point = moved[0, SWAPS[2] if variation.mirrored else 2]
    assert point[2] == 2 and (moved[..., 2] > 0).sum() == 1
    reach = 14 * math.hypot(*variation.affine.matrix[0, :2])
    if not (reach < point[0] < CROP[0] - reach and reach < point[1] < CROP[1] - reach):
        return
    mask = variation.mask(squared <= area)
    grey = variation.image(image)[..., 0].astype(float)
    rows, columns = np.indices(grey.shape)
    near = np.hypot(columns - point[0], rows - point[1]) <= reach
    for found, close in ((grey * near, 0.1), (mask.astype(float), 0.3)):
        centroid = (found * columns).sum() / found.sum(), (found * rows).sum() / found.sum()
        np.testing.assert_allclose(centroid, point[:2], atol=close)


def test_a_crop_is_about_the_middle_of_a_box_and_makes_it_as_high_as_is_asked_for() -> None:
    for seed in range(20):
        variation = drawn(seed, shift=0.0)
        low, high = variation.affine.to_input(BOX.reshape(2, 2))
        np.testing.assert_allclose((low + high) / 2, (CROP[0] / 2, CROP[1] / 2), atol=1.01)
        scale = math.hypot(*variation.affine.matrix[0, :2])
        assert 0.5 <= scale * 160 / (0.6 * CROP[1]) <= 1.1
        shifted = drawn(seed, shift=30.0).affine.to_input(BOX.reshape(2, 2)).mean(axis=0)
        assert (np.abs(shifted - np.array(CROP) / 2) <= 31.01).all()


def test_a_crop_is_about_the_middle_of_the_image_where_that_is_asked_for() -> None:
    variation = drawn(**STILL, about="image")
    assert variation.affine.to_input(np.array(SIZE) / 2) == pytest.approx(np.array(CROP) / 2, abs=1)


def test_the_range_of_an_images_scale_is_narrowed_to_whom_it_shows() -> None:
    boxes = np.array([[0, 0, 30, 40], [0, 0, 180, 240]])  # diagonals of 50 and 300

    def scales(**fields: Any) -> list[float]:
        found = [drawn(seed, boxes=boxes, target=0.0, scale=(0.5, 2.0), **fields) for seed in range(300)]
        return sorted(math.hypot(*one.affine.matrix[0, :2]) for one in found)

    for extent, least, most in (((45, 330), 0.9, 1.1), ((10, 3000), 0.5, 2), ((64, 100), 1, 1), (None, 0.5, 2)):
        low, *_, high = scales(extent=extent)
        assert least - 1e-9 <= low <= least + 0.02 and most - 0.02 <= high <= most + 1e-9


def test_turns_are_drawn_evenly_or_about_none() -> None:
    def degrees(**fields: Any) -> np.ndarray[Any, Any]:
        matrices = [drawn(seed, flip=0.0, **fields).affine.matrix for seed in range(2000)]
        return np.degrees([math.atan2(one[0, 1], one[0, 0]) for one in matrices])

    evenly, normal = degrees(rotate=40.0), degrees(rotate=40.0, spread=3.0)
    assert np.abs(evenly).max() <= 40 + 1e-9 and evenly.std() == pytest.approx(40 / math.sqrt(3), rel=0.05)
    assert np.abs(normal).max() <= 40 + 1e-9 and normal.std() == pytest.approx(40 / 3, rel=0.05)
    assert abs(evenly.mean()) < 2 and abs(normal.mean()) < 2


@pytest.mark.parametrize(("flip", "share"), [(0.0, 0), (0.5, 0.5), (1.0, 1)])
def test_as_many_are_mirrored_as_are_asked_for(flip: float, share: float) -> None:
    assert np.mean([drawn(seed, flip=flip).mirrored for seed in range(1000)]) == pytest.approx(share, abs=0.05 * (0 < share < 1))


@given(seed=seeds)
def test_mirrored_twice_is_as_it_was(seed: int) -> None:
    random = np.random.default_rng(seed)
    width, height = (int(number) for number in random.integers(8, 60, 2))
    box = np.array([0, 0, width, height], np.float64)
    once = Augment(**{**STILL, "flip": 1.0}).draw(random, (width, height), (width, height), box, box[None])
    image = random.integers(0, 256, (height, width, 3), np.uint8)
    ignored = random.random((height, width)) < 0.3
    people = random.uniform(0, 60, (2, 18, 3))
    assert (once.image(image) == image[:, ::-1]).all() and (once.mask(ignored) == ignored[:, ::-1]).all()
    assert (once.image(once.image(image)) == image).all() and (once.mask(once.mask(ignored)) == ignored).all()
    mirrored = once.keypoints(people, SWAPS)
    right, left = (SKELETONS["openpose_18"].keypoints.index(f"{side}_wrist") for side in ("right", "left"))
    np.testing.assert_allclose(mirrored[:, right, 0], width - 1 - people[:, left, 0])
    np.testing.assert_allclose(once.keypoints(mirrored, SWAPS), people)


def test_beyond_the_image_is_grey_and_nothing_is_ignored() -> None:
    variation = Augment(**STILL).draw(np.random.default_rng(0), (20, 20), (60, 40), np.array([0.0, 0, 20, 20]), np.zeros((0, 4)))
    image, mask = variation.image(np.zeros((20, 20, 3), np.uint8)), variation.mask(np.ones((20, 20), bool))
    assert image.shape == (40, 60, 3) and mask.shape == (40, 60)
    assert (image[10:30, 20:40] == 0).all() and mask[10:30, 20:40].all()
    image[10:30, 20:40], mask[10:30, 20:40] = 128, False
    assert (image == 128).all() and not mask.any()


def test_neither_image_nor_people_nor_mask_are_written_into() -> None:
    variation = drawn(3, colour=Colour(brightness=0.3, hue=20))
    given_image, given_people, given_mask = np.full((*SIZE[::-1], 3), 90, np.uint8), np.ones((1, 18, 3)), np.ones(SIZE[::-1], bool)
    variation.image(given_image), variation.keypoints(given_people, SWAPS), variation.mask(given_mask)
    assert (given_image == 90).all() and (given_people == 1).all() and given_mask.all()


def test_a_pixel_is_scored_only_where_nothing_ignored_is_mixed_into_it() -> None:
    half = Variation(Affine(np.array([[1.0, 0, 0.5], [0, 1, 0]]), (8, 1), (8, 1), (0, 0, 8, 1)), mirrored=False)
    ignored = np.zeros((1, 8), bool)
    ignored[0, 3] = True
    assert half.mask(ignored)[0].tolist() == [False, False, False, True, True, False, False, False]


def test_a_cell_counts_by_the_part_of_it_that_does() -> None:
    ignored = np.zeros((19, 16), bool)
    ignored[:8, :2] = ignored[8:, :] = True
    np.testing.assert_allclose(part_counted(ignored, 8), [[0.75, 1], [0, 0]])


PIXELS = np.random.default_rng(0).integers(40, 200, (9, 11, 3), np.uint8)


def test_colours_that_do_not_move_are_left_alone() -> None:
    assert Colour().draw(np.random.default_rng(0)) is None
    generator = np.random.default_rng(0)
    moved = sum(Colour(hue=20, probability=0.25).draw(generator) is not None for _ in range(2000))
    assert moved == pytest.approx(500, abs=80)  # four deviations
    assert all(Colour(hue=20).draw(generator) is not None for _ in range(100))
    np.testing.assert_array_equal(Tone(0, 1, 1, 0).apply(PIXELS), PIXELS)


def test_brightness_contrast_and_saturation_are_what_they_are_called() -> None:
    np.testing.assert_allclose(Tone(0.1, 1, 1, 0).apply(PIXELS), PIXELS + 25.5, atol=1)
    grey = PIXELS @ [0.114, 0.587, 0.299]
    np.testing.assert_allclose(Tone(0, 0.5, 1, 0).apply(PIXELS), grey.mean() + (PIXELS - grey.mean()) / 2, atol=1)
    np.testing.assert_allclose(Tone(0, 1, 0.5, 0).apply(PIXELS), (PIXELS + grey[..., None]) / 2, atol=1)
    assert np.ptp(Tone(0, 1, 0, 0).apply(PIXELS), axis=2).max() <= 1
    assert (Tone(1, 1, 1, 0).apply(PIXELS) == 255).all() and (Tone(-1, 1, 1, 0).apply(PIXELS) == 0).all()


@given(hue=st.floats(-math.pi, math.pi))
def test_a_turned_hue_keeps_the_grey_of_every_pixel_and_comes_back(hue: float) -> None:
    pixels = np.random.default_rng(1).integers(100, 150, (9, 11, 3), np.uint8)
    turned = Tone(0, 1, 1, hue).apply(pixels)
    np.testing.assert_allclose(turned @ [0.114, 0.587, 0.299], pixels @ [0.114, 0.587, 0.299], atol=1)
    np.testing.assert_allclose(Tone(0, 1, 1, -hue).apply(turned), pixels.astype(float), atol=3)
    assert (Tone(0, 1, 1, hue).apply(np.full((2, 2, 3), 77, np.uint8)) == 77).all()


def test_red_becomes_blue_by_a_third_of_a_turn() -> None:
    red = np.full((1, 1, 3), (90, 90, 140), np.uint8)
    one, other = (int(np.argmax(Tone(0, 1, 1, sign * 2 * math.pi / 3).apply(red))) for sign in (1, -1))
    assert sorted((one, other)) == [0, 1]


def test_colours_are_drawn_within_their_limits() -> None:
    colour = Colour(brightness=0.1, contrast=0.2, saturation=0.3, hue=30)
    tones = np.array([colour.draw(np.random.default_rng(seed)) for seed in range(500)])
    limits = np.array([0.1, 0.2, 0.3, math.radians(30)])
    away = np.abs(tones - [0, 1, 1, 0])
    assert (away <= limits).all() and (away.max(axis=0) > 0.95 * limits).all()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("scale: [1.1, 0.5]", "from the smaller"),
        ("scale: [0, 1]", "both more than 0"),
        ("extent: [64, 512]", "target: 0"),
        ("target: 0, scale: [1.5, 2], extent: [64, 512]", "holds 1"),
        ("target: 0, scale: [0.5, 2], extent: [512, 64]", "from the smaller"),
    ],
)
def test_ranges_that_are_none_are_refused(said: str, told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.yaml.decode("{" + said + "}", type=Augment)


def test_an_image_is_read_as_bytes_of_three_channels() -> None:
    image = drawn(1).image(cv2.cvtColor(np.full(SIZE[::-1], 7, np.uint8), cv2.COLOR_GRAY2BGR))
    assert image.dtype == np.uint8 and image.shape == (CROP[1], CROP[0], 3)
