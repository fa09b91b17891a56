"""Fit the image into one width and height, keep its shape, and pad what is missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.fits.resize import Resampled, resize, scaling
from zoo.pose.fits.to_size import ToSize
from zoo.pose.geometry import Affine


class Letterbox(ToSize, frozen=True, kw_only=True, tag="letterbox"):
    """Resize until the image just fits into `width` x `height`, then pad to exactly that size.

    Detectors want it: YOLOX and RTMDet at the top left corner with 114, the YOLOs since v5 in the middle with 114; Vastai's
    LETTERBOX operators in the middle. As all of these do, each axis is sampled by its own factor, whole pixels over
    whole pixels.
    """

    interpolation: Resampled = "linear"
    place: Annotated[
        Literal["center", "corner"], Meta(description="where the image lies in the input: in its middle, or at the top left corner")
    ] = "center"
    pad: Annotated[tuple[float, float, float], Meta(description="padded pixels: blue, green, red in 0..255, before normalisation")] = (
        114.0,
        114.0,
        114.0,
    )

    @property
    def border(self) -> tuple[float, float, float]:
        """What fills the input outside of the image: pixel values before normalisation, BGR."""
        return self.pad

    def affine(self, image: tuple[int, int]) -> Affine:
        """Where an image of (width, height) pixels goes."""
        width, height = image
        factor = min(self.width / width, self.height / height)
        # never an empty image
        across, down = max(1, round(width * factor)), max(1, round(height * factor))
        left, top = ((self.width - across) // 2, (self.height - down) // 2) if self.place == "center" else (0, 0)
        return scaling(image, (across / width, down / height), (left, top, across, down), (self.width, self.height))

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        return resize(pixels, affine, self.interpolation)
