"""A network's maps: picked from its outputs, made larger, laid over the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import StepFailed
from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS
from zoo.pose.decoders.outputs import take
from zoo.pose.geometry import Affine, View

Maps = NDArray[np.float32]


def pick(outputs: Mapping[str, NDArray[Any]], name: str, channels: int) -> Maps:
    """The first `channels` of the output `name`, (1, C, h, w), as (h, w, channels) float32 that may be a view: read only.

    Raises StepFailed when there is no such output, when it is no batch of one, or when it has fewer channels or nothing in it.
    """
    return np.asarray(take(outputs, name, 1, channels, "height", "width")[0], dtype=np.float32).transpose(1, 2, 0)


def pick_body(outputs: Mapping[str, NDArray[Any]], heatmaps: str, pafs: str) -> tuple[Maps, Maps]:
    """The outputs of these names: heatmaps (h, w, 18) and part affinity fields (h, w, 38), as `pick` gives them.

    Raises StepFailed as `pick` does, and when the two are not of one size.
    """
    heat, fields = pick(outputs, heatmaps, KEYPOINTS), pick(outputs, pafs, FIELDS)
    if heat.shape[:2] != fields.shape[:2]:
        sizes = [f"{maps.shape[1]} x {maps.shape[0]}" for maps in (heat, fields)]
        raise StepFailed(f"the heatmaps are {sizes[0]}, the part affinity fields {sizes[1]}", "limbs are read where keypoints are found")
    return heat, fields


def check_one_image(views: Sequence[View]) -> None:
    """Raises StepFailed when there is no view, or when the views are not of one image's size."""
    if not views:
        raise StepFailed("no view of an image to decode", "give the outputs of at least one scale")
    if len({view.affine.image for view in views}) > 1:
        sizes = ", ".join("{} x {}".format(*view.affine.image) for view in views)
        raise StepFailed(f"the views are of images of different sizes: {sizes}", "views are the same image at one or more scales")


def mean(maps: Iterator[Maps]) -> Maps:
    """The mean of one or more maps of one shape, added as they come: they need not be in memory all at once."""
    total, count = next(maps), 1
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of opposite signs meet
        for one in maps:
            total, count = total + one, count + 1
    return total if count == 1 else total / np.float32(count)


def enlarge(maps: Maps, factor: int) -> Maps:
    """(h, w, C) -> (factor h, factor w, C), bicubic (OpenCV, a = -0.75)."""
    import cv2

    return np.asarray(cv2.resize(np.ascontiguousarray(maps), None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def check_covers(maps: Maps, affine: Affine, factor: int) -> None:
    """Raises StepFailed when `factor` does not take maps (h, w, C) to the input's size."""
    height, width = maps.shape[0] * factor, maps.shape[1] * factor
    if (width, height) != affine.input:
        raise StepFailed(
            f"maps of {maps.shape[1]} x {maps.shape[0]} times {factor} do not cover an input of {affine.input[0]} x {affine.input[1]}",
            "`upsample` of the decoder must be the network's stride, and the input a multiple of it",
        )


def over_image(maps: Maps, affine: Affine, factor: int) -> Maps:
    """(h, w, C) -> (image height, image width, C): enlarged to the input's size, padding cut off, bicubic to the image's size.

    The two steps of Lightweight OpenPose's val.py; `factor` is the network's stride.
    Raises StepFailed when `factor` does not take the maps to the input's size.
    """
    import cv2

    check_covers(maps, affine, factor)
    x, y, across, down = affine.content
    content = enlarge(maps, factor)[y : y + down, x : x + across]
    return np.asarray(cv2.resize(content, affine.image, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def pixels_to_image(points: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """(N, 2) pixels x, y of the input -> pixels of the image, by their middles: where `over_image` has what was there."""
    x, y, across, down = affine.content
    step = np.array([affine.image[0] / across, affine.image[1] / down])
    return np.asarray((points - (x - 0.5, y - 0.5)) * step - 0.5)


def to_image(points: NDArray[np.float64], shape: tuple[int, int], affine: Affine) -> NDArray[np.float64]:
    """(N, 2) pixels x, y of maps of `shape` (h, w) that cover the whole input -> image pixels.

    By corners: pixel 0 of the map is pixel 0 of the input, as the originals have it. One scale for both axes, that of
    the heights, which a fit to a height meets exactly (the width is rounded).
    """
    x, y, _, down = affine.content
    step = np.array([affine.input[0] / shape[1], affine.input[1] / shape[0]])
    return np.asarray((points * step - (x, y)) * (affine.image[1] / down))
