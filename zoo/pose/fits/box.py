"""Cut a person's box out of the image, at the network's own shape."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.fits.resize import Resampled, warp
from zoo.pose.fits.to_size import ToSize
from zoo.pose.geometry import Affine


class Box(ToSize, frozen=True, kw_only=True, tag="box"):
    """Enlarge a box about its centre, then to the shape of `width` x `height`, and bring what it holds to that size; one affine.

    mmpose's top-down networks and GluonCV's SimplePose: padding 1.25, bilinear, black where the box leaves the image. The
    box's centre goes to the middle of the input (mmpose's affine, not its unbiased one): x_input = (x - centre) * width /
    side + width / 2.
    """

    padding: Annotated[float, Meta(description="the box's sides are made so many times longer", gt=0, le=8)] = 1.25
    interpolation: Resampled = "linear"
    pad: Annotated[tuple[float, float, float], Meta(description="outside of the image: blue, green, red, 0..255 before normalisation")] = (
        0.0,
        0.0,
        0.0,
    )

    @property
    def border(self) -> tuple[float, float, float]:
        """What lies outside of the image: pixel values before normalisation, BGR."""
        return self.pad

    def affine(self, image: tuple[int, int], box: NDArray[Any] | None = None) -> Affine:
        """Where the part of an image of (width, height) pixels goes that `box` (4,) x1, y1, x2, y2 holds; None: all of it.

        A box may reach beyond the image. Raises ZooError where it holds nan or infinity; one without any size counts as a pixel."""
        x1, y1, x2, y2 = (0.0, 0.0, *image) if box is None else map(float, box)
        if not all(map(math.isfinite, (x1, y1, x2 - x1, y2 - y1))):
            raise ZooError(f"a box is four numbers x1, y1, x2, y2 in pixels, this is {x1:g}, {y1:g}, {x2:g}, {y2:g}", "leave it out")
        # the longer of both, in parts of the input's, decides: the crop has the input's shape and holds the whole box
        factor = 1 / (max(max(x2 - x1, 1.0) / self.width, max(y2 - y1, 1.0) / self.height) * self.padding)
        x, y = self.width / 2 - factor * (x1 + x2) / 2, self.height / 2 - factor * (y1 + y2) / 2
        # what lies within a pixel of the image, or two where interpolation is cubic, is mixed of it and of the border
        beyond = 2.0 if self.interpolation == "cubic" else 1.0
        left, right = _reached(x - factor * beyond, x + factor * (image[0] - 1 + beyond), self.width)
        top, bottom = _reached(y - factor * beyond, y + factor * (image[1] - 1 + beyond), self.height)
        content = (left, top, max(0, right - left), max(0, bottom - top))
        matrix = np.array([[factor, 0.0, x], [0.0, factor, y]])
        return Affine(matrix=matrix, image=image, input=(self.width, self.height), content=content)

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        left, top, across, down = affine.content
        # contiguous: OpenCV takes six times as long to split a part of an array into channels
        return np.ascontiguousarray(warp(pixels, affine, self.interpolation, self.pad)[top : top + down, left : left + across])


def _reached(start: float, end: float, length: int) -> tuple[int, int]:
    """The whole pixels from `start` to `end`, of those that there are."""
    return min(max(0, math.floor(start)), length), min(max(0, math.ceil(end) + 1), length)
