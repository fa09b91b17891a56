"""The one place where pixels are resampled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.geometry import Affine

Interpolation = Literal["nearest", "linear", "cubic", "area"]
Resampled = Annotated[Interpolation, Meta(description="how pixels are resampled (OpenCV's methods)")]

#: pixels around a place that are mixed into what is interpolated there (cubic: two), and one for rounding
REACH = 3


def scaling(image: tuple[int, int], factors: tuple[float, float], content: tuple[int, int, int, int], size: tuple[int, int]) -> Affine:
    """The `Affine` of a resize by `factors` (x, y) whose result is put at `content` (x, y, width, height) of an input of `size`.

    Pixels are areas and integer coordinates are their centres, as in OpenCV's resize: the centre of image
    pixel 0 lies half a pixel inside, so x_input = (x + 0.5) * factor - 0.5 + content.x and not x * factor.
    """
    x, y = factors
    matrix = np.array([[x, 0.0, (x - 1) / 2 + content[0]], [0.0, y, (y - 1) / 2 + content[1]]])
    return Affine(matrix=matrix, image=image, input=size, content=content)


def warp(pixels: NDArray[Any], affine: Affine, interpolation: Interpolation, border: tuple[float, float, float]) -> NDArray[Any]:
    """`pixels` (h, w, C) where `affine` brings them, (height, width, C) of its input; `border` where it brings none."""
    import cv2

    padded = pixels.dtype == np.uint8 and pixels.shape[2] == 3
    if padded:
        # OpenCV warps four channels of 8 bits 2.5 times as fast as three, to the same values. Only what is seen gets its
        # fourth, in its own place: moved to the corner, coordinates would round otherwise
        (a, b, x), (c, d, y) = affine.inverse.tolist()
        seen = _span(c, d, y, affine.input, pixels.shape[0]), _span(a, b, x, affine.input, pixels.shape[1])
        partly = np.empty((seen[0].stop, seen[1].stop, 4), np.uint8)
        cv2.cvtColor(pixels[seen], cv2.COLOR_BGR2BGRA, partly[seen])
        pixels = partly
    warped: NDArray[Any] = cv2.warpAffine(pixels, affine.matrix, affine.input, flags=_method(interpolation), borderValue=border)
    return cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR) if padded else warped


def _span(across: float, down: float, start: float, size: tuple[int, int], length: int) -> slice:
    """Of an image's `length` columns (or rows) those that an input of `size` sees and mixes in: its point x, y looks at
    across * x + down * y + start."""
    sides = across * size[0], down * size[1]
    first = min(max(0, int(start + sum(min(0.0, side) for side in sides)) - REACH), length - 1)
    last = max(first + 1, min(length, int(start + sum(max(0.0, side) for side in sides)) + REACH + 1))
    return slice(first, last)


def resize(pixels: NDArray[Any], affine: Affine, interpolation: Interpolation) -> NDArray[Any]:
    """`pixels` (h, w, C), 8-bit or float32, resampled to the height and width of `affine.content`; a new array."""
    import cv2

    # By factors and never by size: given a size, OpenCV samples with size/size, which after rounding is another
    # factor than the one asked for and moves the far edge by up to half a pixel.
    factors = {"fx": float(affine.matrix[0, 0]), "fy": float(affine.matrix[1, 1])}
    resized: NDArray[Any] = cv2.resize(pixels, None, **factors, interpolation=_method(interpolation))
    return resized


def _method(interpolation: Interpolation) -> int:
    import cv2

    methods = {"nearest": cv2.INTER_NEAREST, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}
    return methods[interpolation]
