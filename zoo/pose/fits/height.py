"""Bring the image to one height, keep its shape, and pad what is missing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.fits.resize import Resampled, resize, scaling
from zoo.pose.geometry import Affine
from zoo.record import Choice


class Height(Choice, frozen=True, kw_only=True, tag="height"):
    """Resize to `height`, width by the image's own aspect, then pad to multiples of `multiple`.

    Lightweight OpenPose's evaluation is 368 cubic, centre, at least 368 wide and high (the latter shows at scales below 1);
    pytorch-openpose's body network 184 (0.5 x 368) cubic, corner; Open Model Zoo's accuracy checker 368 cubic, floor, centre,
    at least 368 wide, black.
    """

    height: Annotated[int, Meta(description="height in pixels that the image is brought to", ge=1)] = 368
    interpolation: Resampled = "cubic"
    rounding: Annotated[
        Literal["nearest", "floor"],
        Meta(
            description="the width when height/h does not give whole pixels. nearest: rounded, both axes sampled by the very same factor;"
            " floor: cut, and the width sampled by its own factor"
        ),
    ] = "nearest"
    multiple: Annotated[int, Meta(description="both sides of the input are padded to a multiple of this", ge=1)] = 8
    min_width: Annotated[int, Meta(description="the input is padded to at least this width in pixels; 0 for none", ge=0)] = 0
    min_height: Annotated[int, Meta(description="the input is padded to at least this height in pixels; 0 for none", ge=0)] = 0
    place: Annotated[
        Literal["center", "corner"], Meta(description="where the image lies in the input: in its middle, or at the top left corner")
    ] = "center"
    pad: Annotated[tuple[float, float, float], Meta(description="padded pixels: blue, green, red in 0..255, before normalisation")] = (
        128.0,
        128.0,
        128.0,
    )

    @property
    def border(self) -> tuple[float, float, float]:
        """What fills the input outside of the image: pixel values before normalisation, BGR."""
        return self.pad

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of every input; None where that depends on the image."""
        return None

    def scaled(self, factor: float) -> Height:
        """The same fit to `factor` times the height; the least width and height stay."""
        return msgspec.structs.replace(self, height=max(1, round(self.height * factor)))

    def affine(self, image: tuple[int, int]) -> Affine:
        """Where an image of (width, height) pixels goes."""
        width, height = image
        factor = self.height / height
        # half to even, as OpenCV rounds; never an empty image
        across, down = max(1, round(width * factor)), max(1, round(height * factor))
        factors = factor if round(width * factor) else 1 / width, factor
        if self.rounding == "floor":
            across = max(1, int(self.height * width / height))
            factors = across / width, factor
        size = self._padded(max(across, self.min_width)), self._padded(max(down, self.min_height))
        left, top = ((size[0] - across) // 2, (size[1] - down) // 2) if self.place == "center" else (0, 0)
        return scaling(image, factors, (left, top, across, down), size)

    def resize(self, pixels: NDArray[Any], affine: Affine) -> NDArray[Any]:
        """(h, w, C) -> the pixels of `affine.content`."""
        return resize(pixels, affine, self.interpolation)

    def _padded(self, side: int) -> int:
        return -(-side // self.multiple) * self.multiple
