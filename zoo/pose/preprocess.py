"""`Preprocess`: how an image becomes the network's input, declared once.

Calibration, parity, accuracy, latency and demos all call `prepare`; nothing else resizes or normalises.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.fits import Box, Fit
from zoo.pose.geometry import Affine
from zoo.record import Record

Order = Literal["resize_then_normalize", "normalize_then_resize"]
Dtype = Literal["float32", "uint8"]
Positive = Annotated[float, Meta(gt=0)]
#: (N, 3, h, w), in the type that the network takes
Tensor = NDArray[np.float32 | np.uint8]
#: pixels of an input: eight times what the largest of several scales asks of a photograph
LARGEST = 1 << 23

__all__ = ["Box", "Dtype", "Fit", "Order", "Preprocess", "Tensor"]


class Preprocess(Record, frozen=True, kw_only=True):
    """8-bit BGR image -> (1, 3, H, W) tensor, and where its pixels went."""

    fit: Annotated[Fit, Meta(description="how the image is brought to the network's size")]
    colour: Annotated[Literal["bgr", "rgb"], Meta(description="order of the network's input channels")] = "bgr"
    mean: Annotated[
        tuple[float, float, float],
        Meta(description="subtracted from each channel, in 0..255 and the order of `colour`: input = (pixel - mean) / std"),
    ] = (0.0, 0.0, 0.0)
    std: Annotated[
        tuple[Positive, Positive, Positive],
        Meta(description="what each channel is divided by, in 0..255 and the order of `colour`: input = (pixel - mean) / std"),
    ] = (1.0, 1.0, 1.0)
    order: Annotated[
        Order,
        Meta(
            description="resize_then_normalize: the 8-bit image is resized, so interpolated values are rounded to whole"
            " levels and clipped to 0..255; normalize_then_resize: fractions are resized, neither happens"
        ),
    ] = "resize_then_normalize"
    dtype: Annotated[
        Dtype,
        Meta(
            description="what the network is fed. float32; uint8: raw pixels, into a graph that casts and normalises by itself. Recipes"
            " do not say it: the edit {type: fold_preprocess, input: uint8} makes such a graph"
        ),
    ] = "float32"

    @property
    def raw(self) -> bool:
        """Whether pixels go in as they are: BGR, 0..255, nothing subtracted or divided."""
        return self.colour == "bgr" and self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0)

    def folded(self, dtype: Dtype = "float32") -> Preprocess:
        """What is left to do when channel order and normalisation are part of the network: raw BGR 0..255 goes in, as `dtype`.

        The order stays: what was resized in fractions still is, so normalising this tensor gives
        the other one up to float rounding.
        """
        return msgspec.structs.replace(self, colour="bgr", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), dtype=dtype)

    def lost(self) -> str:
        """What an input of `dtype` cannot hold of this; empty where it holds all."""
        if self.dtype == "float32":
            return ""
        if self.mean != (0.0, 0.0, 0.0) or self.std != (1.0, 1.0, 1.0):
            return "a uint8 input holds pixels as they are, and these are normalised"
        if self.order != "resize_then_normalize":
            return f"a uint8 input holds whole levels 0..255, and the order {self.order} resizes fractions"
        if not all(0 <= value <= 255 and value == int(value) for value in self.fit.border):
            pad = ", ".join(f"{value:g}" for value in self.fit.border)
            return f"a uint8 input holds whole levels 0..255, and the padding is {pad}"
        return ""

    def with_fit(self, fit: Fit, order: Order | None = None) -> Preprocess:
        """The same input in another protocol's size, and in its order of resizing and normalising where given."""
        return msgspec.structs.replace(self, fit=fit, order=order or self.order)

    def shape_for(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the input for an image of (width, height) pixels."""
        width, height = self.fit.affine(image_size).input
        return height, width

    def prepare(self, image: NDArray[np.uint8], box: NDArray[Any] | None = None) -> tuple[Tensor, Affine]:
        """`image` (H, W, 3) 8-bit BGR -> the tensor (1, 3, h, w) of `dtype` in `colour` order, and its `Affine`.

        `box` (4,) x1, y1, x2, y2 in pixels is what a fit of boxes looks at; it takes the whole image where there is none. The
        image is only read. Raises ZooError when it is no such array, when it is a strip whose input would have more than
        `LARGEST` pixels, when a box is given to a fit that looks at whole images, or when `dtype` cannot hold what comes out.
        """
        affine = self._affine(image, box)
        tensor = np.empty((1, 3, *affine.input[::-1]), self.dtype)
        self._fill(tensor[0], image, affine)
        return tensor, affine

    def prepare_crops(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[Any]]) -> tuple[Tensor, list[Affine]]:
        """The same for N crops in one tensor (N, 3, h, w): box i is cut out of image i. Raises ZooError as `prepare` does."""
        if not isinstance(self.fit, Box):
            raise ZooError("this preprocessing looks at whole images and was given boxes", "leave the boxes away, or crop the images")
        affines = [self._affine(image, box) for image, box in zip(images, boxes, strict=True)]
        tensor = np.empty((len(affines), 3, self.fit.height, self.fit.width), self.dtype)
        for crop, image, affine in zip(tensor, images, affines, strict=True):
            self._fill(crop, image, affine)
        return tensor, affines

    def normalized(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """(..., 3) values 0..255 in `colour` order -> what the network sees."""
        return np.asarray((pixels - np.array(self.mean)) / np.array(self.std))

    def _affine(self, image: NDArray[np.uint8], box: NDArray[Any] | None) -> Affine:
        """Where the image, or a box of it, goes; `prepare` says what is refused."""
        check_image(image)
        if lost := self.lost():
            raise ZooError(
                lost, "resize 8-bit pixels (`order: resize_then_normalize`) and pad with whole levels, or fold with `input: float32`"
            )
        size = (image.shape[1], image.shape[0])
        if isinstance(self.fit, Box):
            return self.fit.affine(size, box)
        if box is not None:
            raise ZooError("this preprocessing looks at whole images and was given a box", "leave the box away, or crop the image")
        affine = self.fit.affine(size)
        width, height = affine.input
        if width * height > LARGEST:
            what = f"an image of {image.shape[1]}x{image.shape[0]} pixels would become an input of {width}x{height}"
            raise ZooError(what, f"more than {LARGEST} pixels take the machine's memory: crop it, or use a fit of fixed size")
        return affine

    def _fill(self, tensor: Tensor, image: NDArray[np.uint8], affine: Affine) -> None:
        """Write one input (3, h, w)."""
        channels = (0, 1, 2) if self.colour == "bgr" else (2, 1, 0)
        left, top, across, down = affine.content
        inside = (slice(top, top + down), slice(left, left + across))
        if (across, down) != affine.input:
            border = np.array(self.fit.border)[list(channels)]
            levels = self.normalized(border).reshape(3, 1, 1)
            # around the image alone: to write the whole tensor twice takes a fifth of all of this
            middle = tensor[:, top : top + down]
            for part in (tensor[:, :top], tensor[:, top + down :], middle[..., :left], middle[..., left + across :]):
                part[:] = levels
        if across and down:  # a box may lie beside the image
            self._write([plane[inside] for plane in tensor], image, affine, channels)

    def _write(self, planes: list[Tensor], image: NDArray[np.uint8], affine: Affine, channels: tuple[int, ...]) -> None:
        """Write the three planes of `affine.content`, in `colour` order (`channels`: where each is found in BGR)."""
        import cv2

        if self.order == "normalize_then_resize":
            # in float64, as Lightweight OpenPose's evaluation does (its mean is a tuple, which NumPy promotes), and
            # because OpenCV's float32 resize differs by 2e-5 between its own code and the vendor's that it may pick
            pixels = cv2.LUT(image, np.ascontiguousarray(_levels(self)[:, list(channels)])[None])
            resized = self._normalized_fit(channels).resize(pixels, affine)
            for plane, channel in zip(planes, channels, strict=True):
                plane[:] = resized[..., channel]
            return
        split = cv2.split(self.fit.resize(image, affine))
        if self.dtype == "uint8":
            for plane, channel in zip(planes, channels, strict=True):
                plane[:] = split[channel]
            return
        for plane, channel, table in zip(planes, channels, _tables(self), strict=True):
            cv2.LUT(split[channel], table, plane)

    def _normalized_fit(self, channels: tuple[int, ...]) -> Fit:
        """The fit for pixels that are normalised already: what it mixes with them at the image's edges is so as well."""
        if not isinstance(self.fit, Box):
            return self.fit
        blue, green, red = self.normalized(np.array(self.fit.pad)[list(channels)])[list(channels)].tolist()
        return msgspec.structs.replace(self.fit, pad=(blue, green, red))


@lru_cache(maxsize=16)
def _levels(preprocess: Preprocess) -> NDArray[np.float64]:
    """(256, 3): what each of the 256 levels becomes: looking it up equals computing it, bit for bit."""
    return preprocess.normalized(np.repeat(np.arange(256.0)[:, None], 3, axis=1))


@lru_cache(maxsize=16)
def _tables(preprocess: Preprocess) -> list[NDArray[np.float32]]:
    """The same as float32, (256,) for each channel."""
    return [np.ascontiguousarray(column) for column in _levels(preprocess).astype(np.float32).T]


def check_image(image: Any) -> None:
    """Raises ZooError where it is no (H, W, 3) array of 8 bits with something in it."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ZooError(
            f"an image is an array (height, width, 3) of uint8 in BGR order, this is {what}",
            "cv2.imread(path) gives one; cv2.cvtColor makes one of grey or of BGRA",
        )
