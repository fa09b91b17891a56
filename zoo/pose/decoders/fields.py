"""Part affinity fields, read at the pixels that a limb passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.maps import Maps
from zoo.pose.decoders.resample import Resampled, pixels, tiles

Places = NDArray[np.intp]
Vectors = tuple[NDArray[np.float32], NDArray[np.float32]]


class Field(Protocol):
    """Vectors at pixels of the image, a channel's and the next one's being x and y."""

    @property
    def height(self) -> int:
        """Of the image, in pixels."""

    @property
    def width(self) -> int:
        """Likewise."""

    def at(self, x: Places, y: Places, channel: Places) -> Vectors:
        """Pixels and even channels of one shape -> x and y of the vectors there."""


class WholeField:
    """Fields that are there for every pixel, (H, W, C)."""

    def __init__(self, maps: Maps) -> None:
        self.maps, (self.height, self.width) = maps, maps.shape[:2]

    def at(self, x: Places, y: Places, channel: Places) -> Vectors:
        return self.maps[y, x, channel], self.maps[y, x, channel + 1]


class ResampledField:
    """The mean of several views' fields, made where it is read: along x at once, along y at each pixel."""

    def __init__(self, views: Sequence[Resampled]) -> None:
        self.height, self.width = views[0].rows.pixels, views[0].columns.pixels
        self.views = [(pixels(view.rows), _along_x(view, 1 / len(views))) for view in views]

    def at(self, x: Places, y: Places, channel: Places) -> Vectors:
        vectors = np.zeros(x.shape, np.complex64)
        for rows, columns in self.views:
            first = (x * columns.shape[1] + channel // 2) * columns.shape[2] + rows.starts.take(y)
            cells = columns.reshape(-1)
            for tap, weights in enumerate(rows.weights[:, 0].T.astype(np.complex64)):
                vectors += cells.take(first + tap) * weights.take(y)
        return vectors.real, vectors.imag


def _along_x(view: Resampled, share: float) -> NDArray[np.complex64]:
    """(W, pairs of channels, h): one complex number a vector, so that one read and one product serve both of its parts."""
    channels, height, width = view.maps.shape
    cells = np.empty((width, channels // 2, height, 2), np.float32)
    np.multiply(view.maps.reshape(-1, 2, height, width).transpose(3, 0, 2, 1), np.float32(share), out=cells)
    return tiles(view.columns).apply(cells.reshape(width, -1)).view(np.complex64).reshape(-1, channels // 2, height)
