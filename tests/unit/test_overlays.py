"""What a network sees, laid over the image: in its place, whatever the stride, the padding or the turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zoo.pose.fits import Height
from zoo.pose.geometry import Turn, turned
from zoo.pose.overlays import fields_over, heatmaps_over, status_over
from zoo.pose.preprocess import Preprocess

GREY: Any = np.full((120, 200, 3), 90, np.uint8)
WAY = Preprocess(fit=Height(height=96, multiple=8, place="center", min_width=256))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("point", [(40, 30), (150, 100)])
def test_a_maximum_lies_on_the_keypoint_that_made_it(turn: Turn, stride: int, point: tuple[int, int]) -> None:
    affine = WAY._affine(turned(GREY, turn), None)
    affine = affine.after(turn) if turn else affine
    width, height = (side // stride for side in affine.input)
    x, y = (affine.to_input(np.array(point, float)) + 0.5) / stride - 0.5
    rows, columns = np.mgrid[:height, :width]
    maps = np.zeros((3, height, width))
    maps[1] = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2)
    changed = np.abs(heatmaps_over(GREY, maps, affine).astype(int) - GREY).sum(axis=-1).astype(float)
    at = (changed * (changed > 0.3 * changed.max())).ravel() / (changed * (changed > 0.3 * changed.max())).sum()
    centre = [(at * grid.ravel()).sum() for grid in np.mgrid[:120, :200][::-1]]
    assert np.abs(np.array(centre) - point).max() < 2


def test_where_nothing_is_seen_the_image_stays() -> None:
    _, affine = WAY.prepare(GREY)
    assert np.array_equal(heatmaps_over(GREY, np.full((18, 12, 32), 0.04), affine), GREY)
    assert np.array_equal(fields_over(GREY, np.zeros((38, 12, 32)), affine), GREY)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_the_colour_of_a_field_is_its_direction_in_the_image(turn: Turn) -> None:
    affine = WAY._affine(turned(GREY, turn), None)
    affine = affine.after(turn) if turn else affine
    width, height = (side // 8 for side in affine.input)
    for direction, colour in (((1, 0), (0, 0, 255)), ((-1, 0), (255, 255, 0))):
        pointing = affine.matrix[:, :2] @ direction
        fields = np.zeros((38, height, width))
        fields[6], fields[7] = (pointing / np.hypot(*pointing))[:, None, None] * np.ones((2, height, width))
        drawn = fields_over(GREY, fields, affine)[60, 100].astype(int)
        assert (np.abs(drawn - (0.75 * np.array(colour) + 0.25 * 90)) < 6).all()


def test_the_status_is_in_the_corner_and_the_image_given_stays() -> None:
    before = GREY.copy()
    changed = np.argwhere((status_over(GREY, "12.5 FPS") != GREY).any(axis=-1))
    assert changed.min(axis=0).max() < 3 and changed.max(axis=0)[0] < 40 and changed.max(axis=0)[1] < 120
    assert np.array_equal(GREY, before)
