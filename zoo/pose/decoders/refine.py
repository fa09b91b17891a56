"""From the cell where a heatmap is greatest to a place between cells."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.intp]
Points = NDArray[np.float64]

#: A determinant of the Hessian that is rounding alone: of a map that is flat in some direction.
FLAT = 1e-12


def quarter(planes: NDArray[Any], cells: Cells) -> Points:
    """Maps (M, h, w), and the cell x, y (M, 2) where each is greatest -> (M, 2), a quarter cell towards the higher neighbour.

    Along each axis by itself, and not at all between equal neighbours, at the map's border or, as the originals have it, in the
    second column (row) from the left (top). Source: Newell et al., "Stacked Hourglass Networks", 2016; borders as in mmpose.
    """
    height, width = planes.shape[1:]
    x, y = cells.T
    at, along = (np.arange(len(planes)) * height + y) * width + x, np.array([[1], [width]])
    # beyond a map lies the next one: what is read there is not used
    before, after = (planes.reshape(-1).take(place, mode="clip") for place in (at - along, at + along))
    inside = np.stack([(x > 1) & (x < width - 1) & (y > 0), (y > 1) & (y < height - 1) & (x > 0)])
    return np.asarray(cells + 0.25 * (direction(before, after) * inside).T)


def dark(planes: NDArray[Any], cells: Cells, kernel: int) -> Points:
    """Maps (M, h, w), and the cell x, y (M, 2) where each is greatest -> (M, 2): where the smoothed map would have its maximum if
    it were a gaussian around there.

    A gaussian of `kernel` cells (OpenCV's sigma for that many) smooths the map, which is 0 outside; from the slope and the
    curvature of its logarithm follows the step. No step is made next to the map's border (two cells) and where there is none to
    make: where the smoothed map is not positive or is flat.

    Source: Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation", 2020; slopes over two cells and
    curvatures over four as in mmpose, which takes 1e-10 for what is not positive.
    """
    height, width = planes.shape[1:]
    points = cells.astype(np.float64)
    chosen = np.flatnonzero(((cells > 1) & (cells < (width - 2, height - 2))).all(axis=1))
    # a few smoothed values are read of each map, so only what goes into them is smoothed
    reach = kernel // 2 + 2
    x, y = cells[chosen].T[..., None] + np.arange(-reach, reach + 1)
    at = (chosen[:, None] * height + y.clip(0, height - 1))[:, :, None] * width + x.clip(0, width - 1)[:, None]
    windows = planes.reshape(-1).take(at)
    windows[((y < 0) | (y >= height))[:, :, None] | ((x < 0) | (x >= width))[:, None]] = 0
    with np.errstate(all="ignore"):  # whatever is not positive or not finite makes a step that is no number
        logs = np.log(windows.reshape(len(chosen), (2 * reach + 1) ** 2).astype(np.float64) @ _smoothing(kernel)).T
        here, left, right, up, down, left2, right2, up2, down2, *corners = logs
        dx, dy = (right - left) / 2, (down - up) / 2
        dxx, dyy = (right2 - 2 * here + left2) / 4, (down2 - 2 * here + up2) / 4
        dxy = (corners[3] - corners[2] - corners[1] + corners[0]) / 4
        determinant = dxx * dyy - dxy**2
        steps = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=1) / determinant[:, None]
        made = np.isfinite(steps).all(axis=1) & np.isfinite(determinant) & (abs(determinant) > FLAT)
    points[chosen[made]] += steps[made]
    return points


def direction(before: NDArray[Any], after: NDArray[Any]) -> Points:
    """+1 where `after` is higher, -1 where `before` is; comparisons, unlike a difference, bear NaN and inf."""
    return (after > before).astype(np.float64) - (after < before)


#: x, y of the smoothed values that `dark` reads, from the greatest cell
READ = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-2, 0), (2, 0), (0, -2), (0, 2), (-1, -1), (1, -1), (-1, 1), (1, 1))


@cache
def _smoothing(kernel: int) -> Points:
    """((kernel + 4) ** 2, 13): what makes of a square of values the smoothed ones at `READ` from its middle."""
    import cv2

    weights = cv2.getGaussianKernel(kernel, 0)[:, 0]
    placed = {step: np.pad(weights, (2 + step, 2 - step)) for step in range(-2, 3)}
    return np.stack([np.outer(placed[y], placed[x]).ravel() for x, y in READ], axis=1)
