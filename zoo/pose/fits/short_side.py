"""Bring the image's shorter side to one length, and the other to a multiple."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.fits.resize import Resampled, resize, scaling
from zoo.pose.geometry import Affine
from zoo.record import Choice


class ShortSide(Choice, frozen=True, kw_only=True, tag="short_side"):
    """Resize until the shorter side is `side` long; the other is as long as the image's aspect makes it, and then lengthened to a multiple
    of `multiple`. Nothing is padded: people become a little longer along it. MindSpore's OpenPose is 368 linear, multiples of 8."""

    side: Annotated[int, Meta(description="pixels of the input's shorter side", ge=1)] = 368
    interpolation: Resampled = "linear"
    multiple: Annotated[int, Meta(description="both sides of the input are a multiple of this, lengthened where they are not", ge=1)] = 8

    @property
    def border(self) -> tuple[float, float, float]:
        """Nothing of the input is outside of the image; a value all the same, so that every fit is used alike."""
        return (0.0, 0.0, 0.0)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every input; None where that depends on the image."""
        return None

    def scaled(self, factor: float) -> ShortSide:
        """The same fit to `factor` times the side."""
        return msgspec.structs.replace(self, side=max(1, round(self.side * factor)))

    def affine(self, image: tuple[int, int]) -> Affine:
        """Where an image of (width, height) pixels goes."""
        width, height = image
        # as the original divides: a last digit may decide between two multiples. Half to even, as NumPy rounds
        aspect = height / width
        across, down = (round(self.side / aspect), self.side) if height < width else (self.side, round(self.side * aspect))
        size = self._lengthened(across), self._lengthened(down)
        return scaling(image, (size[0] / width, size[1] / height), (0, 0, *size), size)

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        return resize(pixels, affine, self.interpolation)

    def _lengthened(self, side: int) -> int:
        return -(-side // self.multiple) * self.multiple
