"""Maps over the image, made only where they are read.

Enlarging maps, cutting the padding off, resizing them to the image and smoothing them are all linear along each axis. So
what an image-sized map would hold is `rows @ map @ columns.T`, and a pixel of it needs a few cells of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.maps import Maps, check_covers
from zoo.pose.geometry import Affine

Array = NDArray[np.float64]
#: Pixels along the side of a tile of the image; with one more at either side 16, which vector units like.
TILE = 14
#: How many axes' operators are kept. They are some 100 KB each, and images of one dataset have few sizes.
KEPT = 64


class Axis(NamedTuple):
    """One axis of maps that are laid over an image; what its operators depend on."""

    cells: int
    """Of the map."""
    factor: int
    """The map is enlarged so many times."""
    start: int
    """First pixel of the enlarged map that is not padding."""
    length: int
    """So many pixels are not."""
    pixels: int
    """Of the image."""
    method: Literal["cubic", "linear"] = "cubic"
    """How the map is enlarged, and brought to the image's size."""


class Band(NamedTuple):
    """N groups of R rows of a matrix that has K columns other than zero, at most, in each group."""

    starts: NDArray[np.intp]
    """(N,) the first of these columns."""
    weights: Array
    """(N, R, K)"""

    def apply(self, maps: NDArray[np.floating]) -> NDArray[Any]:
        """(cells, F) -> (N, R, F), in the type of the maps. What is not finite stays within the groups that read it."""
        reach = np.arange(self.weights.shape[2])
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self.weights.astype(maps.dtype, copy=False) @ maps[self.starts[:, None] + reach])


class Smoothed(NamedTuple):
    """One axis of the smoothed maps, by tiles of the image."""

    tiles: Band
    """R: the pixels of a tile, one before and one after; outside of the image they are 0."""
    turned: Array
    """(N, K, R): their weights, for a product from the right."""
    high: NDArray[np.float32]
    """(N, cells) the greatest weight that a cell has in any pixel of a tile, 0 at least."""
    low: NDArray[np.float32]
    """(N, cells) the least, 0 at most, negated."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Maps that stand for `rows @ maps @ columns.T`, as large as the image."""

    maps: NDArray[np.float32]
    """(C, cells down, cells across)"""
    rows: Axis
    columns: Axis

    @staticmethod
    def over_image(maps: Maps, affine: Affine, factor: int) -> Resampled:
        """What `maps.over_image` makes of (h, w, C). Raises StepFailed as it does."""
        check_covers(maps, affine, factor)
        x, y, across, down = affine.content
        width, height = affine.image
        columns, rows = Axis(maps.shape[1], factor, x, across, width), Axis(maps.shape[0], factor, y, down, height)
        return Resampled(maps.transpose(2, 0, 1), rows, columns)

    @staticmethod
    def enlarged(maps: Maps, factor: int, method: Literal["cubic", "linear"] = "cubic") -> Resampled:
        """What `maps.enlarge` makes of (h, w, C), or the same bilinear."""
        rows, columns = (Axis(cells, factor, 0, cells * factor, cells * factor, method) for cells in maps.shape[:2])
        return Resampled(maps.transpose(2, 0, 1), rows, columns)

    def at(self, x: NDArray[np.intp], y: NDArray[np.intp], channel: NDArray[np.intp]) -> Array:
        """(P,) pixels and channels -> (P,) values."""
        down, across = pixels(self.rows), pixels(self.columns)
        rows = (down.starts[y][:, None] + np.arange(down.weights.shape[2]))[:, :, None]
        columns = (across.starts[x][:, None] + np.arange(across.weights.shape[2]))[:, None, :]
        cells = self.maps[channel[:, None, None], rows, columns].astype(np.float64)
        return np.asarray((down.weights[y] @ cells @ across.weights[x].transpose(0, 2, 1))[:, 0, 0])


@lru_cache(KEPT)
def pixels(axis: Axis) -> Band:
    """One group a pixel of the image."""
    return _band(_matrix(axis)[:, None])


@lru_cache(KEPT)
def tiles(axis: Axis) -> Band:
    """One group a tile; the last one's pixels outside of the image are 0."""
    return _band(_tiled(_matrix(axis), border=0))


@lru_cache(KEPT)
def smoothed(axis: Axis, sigma: float) -> Smoothed:
    """Of maps that a gaussian smooths over the image, see `smoothing`."""
    tiled = _tiled(smoothing(axis, sigma), border=1)
    inner = tiled[:, 1:-1].astype(np.float32)
    band = _band(tiled)
    turned = np.ascontiguousarray(band.weights.transpose(0, 2, 1))
    return Smoothed(band, turned, inner.max(axis=1, initial=0), -inner.min(axis=1, initial=0))


@lru_cache(4)  # of an image's two axes one is often the last image's; half a megabyte each
def smoothing(axis: Axis, sigma: float) -> Array:
    """(pixels, cells): one axis of maps that a gaussian smooths over the image: cut at 4 deviations, the image mirrored at its borders
    (scipy's default)."""
    reach = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    mirrored = np.pad(_matrix(axis), ((reach, reach), (0, 0)), mode="symmetric")
    return np.asarray(sum((tap * mirrored[i : i + axis.pixels] for i, tap in enumerate(taps / taps.sum())), start=np.zeros(1)))


@lru_cache(4)  # an image asks three times for both of its axes, then never again
def _matrix(axis: Axis) -> Array:
    """(pixels, cells): what OpenCV does to each cell, asked of OpenCV itself."""
    import cv2

    method = cv2.INTER_CUBIC if axis.method == "cubic" else cv2.INTER_LINEAR
    large = cv2.resize(np.eye(axis.cells), (axis.cells * axis.factor, axis.cells), interpolation=method)
    content = np.ascontiguousarray(large[:, axis.start : axis.start + axis.length])
    return np.asarray(cv2.resize(content, (axis.pixels, axis.cells), interpolation=method)).T


def _tiled(matrix: Array, border: int) -> Array:
    """(pixels, cells) -> (tiles, TILE + 2 border, cells)."""
    count = -(-len(matrix) // TILE)
    framed = np.zeros((count * TILE + 2 * border, matrix.shape[1]))
    framed[border : border + len(matrix)] = matrix
    return np.asarray(framed[np.arange(count)[:, None] * TILE + np.arange(TILE + 2 * border)])


def _band(matrix: Array) -> Band:
    """matrix (N, R, cells)"""
    cells = matrix.shape[2]
    used = (matrix != 0).any(axis=1)
    first = used.argmax(axis=1)
    last = np.where(used.any(axis=1), cells - 1 - used[:, ::-1].argmax(axis=1), 0)
    taps = int((last - first).max()) + 1
    starts = np.minimum(first, cells - taps)
    return Band(starts, np.take_along_axis(matrix, starts[:, None, None] + np.arange(taps), axis=2))
