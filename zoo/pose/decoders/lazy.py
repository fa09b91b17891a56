"""Candidates and limbs of maps that are never made larger: what an enlarged map would hold is computed where it is read.

Three things make the difference. A maximum is sought among the cells of the map, and the enlarged map only within the cell where
it lies; a limb's samples are read between four cells; nothing is padded or cut.

`lazy_compiled.py` is the same, operation by operation, for where Numba is installed. So the order in which things are added up
is written out here, and what is computed in float32 stays so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from zoo.pose.decoders.assemble import Assembled
from zoo.pose.decoders.candidates import MOST, Candidates, strongest
from zoo.pose.decoders.connect import Array, LimbScoring, Points
from zoo.pose.decoders.peaks import FourNeighbours

Cells = NDArray[np.intp]
Planes = NDArray[np.float32]
#: OpenCV's bicubic kernel.
A = -0.75
#: Cells before and after the one in which a place lies that a bicubic value there depends on.
REACH = 2
TAPS = 2 * REACH + 1
#: No place in a cell is more than so many times as high as the greatest cell around: the kernel's weights add up to 1.1875 on the
#: positive side, along either axis.
OVERSHOOT = 1.1875**2
STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Frame:
    """Where what is found may lie, and how far apart."""

    factor: int
    """The maps stand for maps so many times larger: pixels of those are the unit of all places here."""
    content: tuple[int, int, int, int]
    """(x, y, width, height) the part that counts. A maximum in the cell next to it is moved to its edge, others are left out."""
    scale: tuple[float, float]
    """What one pixel is along x and y in the unit of the protocol's `distance`."""


Compiled = Callable[[Planes, Planes, Frame, FourNeighbours, LimbScoring], tuple[Candidates, Assembled]]


@cache
def compiled() -> Compiled | None:
    """The whole way to people that are put together by `attach`, compiled; None where Numba is not installed or cannot keep its files."""
    try:
        # by its name, so that it is no part of the code that figures depend on (engine/code.py): NumPy's way is
        found: Compiled = importlib.import_module("zoo.pose.decoders.lazy_compiled").find
    except (ImportError, RuntimeError):
        return None
    return found


def find_peaks(heatmaps: Planes, frame: Frame, peaks: FourNeighbours) -> Candidates:
    """heatmaps (K, h, w), contiguous -> candidates in whole pixels of the enlarged map.

    The greatest pixel of each cell that is not below any of its eight neighbours; of a plateau, the one of its middle cell. They are
    kept apart as `peaks` says. What is near to a value that is not finite is no peak.
    """
    kinds = len(heatmaps)
    kind, y, x = maxima(heatmaps, np.float32(peaks.threshold / OVERSHOOT))
    value, down, across = refined(heatmaps, kind, y, x, frame.factor)
    left, top, width, height = frame.content
    right, bottom = left + width - 1, top + height - 1
    wide = (across >= left - frame.factor) & (across <= right + frame.factor)
    high = (down >= top - frame.factor) & (down <= bottom + frame.factor)
    kept = np.flatnonzero((value >= np.float32(peaks.threshold)) & (value < np.inf) & wide & high)
    value, kind = value[kept], kind[kept]
    across, down = np.minimum(np.maximum(across[kept], left), right), np.minimum(np.maximum(down[kept], top), bottom)
    order = np.lexsort((down, across, kind))
    value, kind, across, down = value[order], kind[order], across[order], down[order]
    kept = np.flatnonzero(peaks.apart(across * frame.scale[0], down * frame.scale[1], kind))
    kept = kept[strongest(value[kept], kind[kept], MOST)]
    return Candidates.of(across[kept], down[kept], value[kept], kind[kept], kinds)


def maxima(planes: Planes, least: np.float32) -> tuple[Cells, Cells, Cells]:
    """planes (K, h, w) -> plane, y, x of the cells of `least` or more that none of their eight neighbours exceeds, in their order.

    Of a plateau of equal neighbours, that has no higher one beside it, the cell that is nearest to its middle."""
    height, width = planes.shape[1:]
    flat = planes.reshape(-1)
    cell = np.flatnonzero(flat >= least)
    line, x = np.divmod(cell, width)
    y = line % height
    steps = {0: np.zeros(len(cell), np.intp), 1: (x < width - 1).astype(np.intp), -1: -(x > 0).astype(np.intp)}
    lines = {0: steps[0], 1: (y < height - 1) * width, -1: (y > 0) * -width}
    # a neighbour outside of the map is the cell itself
    beside = np.stack([cell + lines[j] + steps[i] for j, i in STEPS])
    values, around = flat[cell], flat.take(beside)
    top = np.flatnonzero((values >= around).all(axis=0))
    cell, beside = cell[top], beside[:, top]
    tied = ((values[top] == around[:, top]) & (beside != cell)).any(axis=0)
    if tied.any():
        cell = np.sort(np.concatenate([cell[~tied], _middles(cell, beside, tied, flat, width)]))
    line, x = np.divmod(cell, width)
    plane, y = np.divmod(line, height)
    return plane, y, x


def _middles(cell: Cells, beside: Cells, tied: NDArray[np.bool_], flat: Planes, width: int) -> Cells:
    """The middle cells of the plateaus that consist of the `tied` ones among maxima `cell` (M,) with neighbours `beside` (8, M)."""
    around = dict(zip(cell[tied].tolist(), beside[:, tied].T.tolist(), strict=True))
    seen, found = set[int](), []
    for first in around:
        if first in seen:
            continue
        seen.add(first)
        plateau, alone, value = [first], True, flat[first]
        for member in plateau:  # grows as it is walked through
            for other in around[member]:
                if other not in seen and flat[other] == value:
                    if other in around:
                        seen.add(other)
                        plateau.append(other)
                    else:  # as high, with a higher one beside it: a terrace of a slope
                        alone = False
        if alone:
            count = len(plateau)
            places = [divmod(member, width) for member in sorted(plateau)]
            y, x = sum(j for j, _ in places), sum(i for _, i in places)
            nearest = min(places, key=lambda place: (count * place[0] - y) ** 2 + (count * place[1] - x) ** 2)
            found.append(nearest[0] * width + nearest[1])
    return np.array(found, np.intp)


def refined(planes: Planes, plane: Cells, y: Cells, x: Cells, factor: int) -> tuple[NDArray[np.float32], Cells, Cells]:
    """The greatest pixels (M,) of the enlarged map within cells (M,): their values, y and x. A value that is not finite, or NaN,
    has such cells around."""
    height, width = planes.shape[1:]
    weights = bicubic(factor)
    reach = np.arange(-REACH, REACH + 1)[:, None]
    # as OpenCV enlarges: outside of the map is its edge
    rows = (plane * height + np.minimum(np.maximum(y + reach, 0), height - 1)) * width
    columns = np.minimum(np.maximum(x + reach, 0), width - 1)
    patch = planes.reshape(-1).take(rows[:, None] + columns)
    with np.errstate(invalid="ignore", over="ignore"):
        down = weights[:, 0, None, None] * patch[0]
        for tap in range(1, TAPS):
            down += weights[:, tap, None, None] * patch[tap]
        pixels = weights[:, 0, None] * down[:, None, 0]
        for tap in range(1, TAPS):
            pixels += weights[:, tap, None] * down[:, None, tap]
    pixels = pixels.reshape(factor * factor, -1)
    best = pixels.argmax(axis=0)
    value = pixels[best, np.arange(len(plane))]
    best_y, best_x = np.divmod(best, factor)
    return value, y * factor + best_y, x * factor + best_x


@cache
def bicubic(factor: int) -> NDArray[np.float32]:
    """(factor, TAPS): what the pixels into which a cell is enlarged are of the cells around it, along one axis (OpenCV's INTER_CUBIC)."""
    weights = np.zeros((factor, TAPS))
    for pixel in range(factor):
        place = (pixel + 0.5) / factor - 0.5
        before = int(np.floor(place))
        t = place - before
        taps = [
            ((A * (t + 1) - 5 * A) * (t + 1) + 8 * A) * (t + 1) - 4 * A,
            ((A + 2) * t - (A + 3)) * t * t + 1,
            ((A + 2) * (1 - t) - (A + 3)) * (1 - t) * (1 - t) + 1,
        ]
        weights[pixel, REACH + before - 1 : REACH + before + 3] = [*taps, 1 - sum(taps)]
    return weights.astype(np.float32)


@dataclass(frozen=True, eq=False)
class SampledLimbs:
    """Limbs judged as `LimbScoring` says, by fields that are read between their cells: bilinear, at the samples themselves."""

    fields: Planes
    """(C, h, w), contiguous"""
    factor: int
    scoring: LimbScoring

    def score(self, a: Points, b: Points, channel: Cells) -> tuple[Array, NDArray[np.bool_]]:
        """See `LimbScoring.score`: a, b (P, 2) pixels of the enlarged map, channel (P,) -> scores (P,) and which are limbs (P,)."""
        scoring, samples = self.scoring, self.scoring.samples
        start = ((a + 0.5) / self.factor - 0.5).astype(np.float32).T
        vector = ((b - a) / self.factor).astype(np.float32).T
        length = np.sqrt(vector[0] * vector[0] + vector[1] * vector[1])
        lines = np.concatenate([start, vector, vector / (length + np.float32(1e-6))])
        threshold = np.float32(scoring.threshold)
        with np.errstate(invalid="ignore", over="ignore"):
            alive = np.flatnonzero((self._along(lines, scoring.probes(), channel) > threshold).any(axis=0))
            along = self._along(lines[:, alive], range(samples), channel[alive])
            counted = along > threshold
            count = counted.sum(axis=0)
            terms = along if scoring.average == "all" else np.where(counted, along, np.float32(0))
            total = terms[0].copy()
            for term in terms[1:]:
                total += term
            found = total.astype(np.float64) / (samples if scoring.average == "all" else count + 1e-6)
            if scoring.prior != "none":
                reach = scoring.reach(self.fields.shape[1] * self.factor, self.fields.shape[2] * self.factor)
                found = found + np.minimum(reach / np.maximum(length[alive].astype(np.float64) * self.factor, 1e-6) - 1, 0)
            passed = np.isfinite(found) & (found > 0) & (count / samples > scoring.passed)
        scores, valid = np.zeros(len(a)), np.zeros(len(a), dtype=bool)
        scores[alive], valid[alive] = found, passed
        return scores, valid

    def _along(self, lines: NDArray[np.float32], samples: Sequence[int], channel: Cells) -> NDArray[np.float32]:
        """lines (6, P): x and y of start, vector and direction, in cells -> (samples, P) projections of the field on the direction."""
        height, width = self.fields.shape[1:]
        times = np.array(samples, np.float32)[:, None] * np.float32(1 / (self.scoring.samples - 1))
        x = np.minimum(np.maximum(lines[0] + times * lines[2], 0), np.float32(width - 1))
        y = np.minimum(np.maximum(lines[1] + times * lines[3], 0), np.float32(height - 1))
        column = np.minimum(x.astype(np.intp), max(width - 2, 0))
        row = np.minimum(y.astype(np.intp), max(height - 2, 0))
        x -= column.astype(np.float32)
        y -= row.astype(np.float32)
        right, below, vertical = min(1, width - 1), width * min(1, height - 1), width * height
        corners = np.array([0, vertical, right, vertical + right, below, vertical + below, below + right, below + vertical + right])
        cells = self.fields.reshape(-1).take(corners[:, None, None] + (channel * vertical + row * width + column))
        lines_of_cells = cells.reshape(2, 2, 2, *x.shape)  # upper and lower, left and right, x and y of the vector
        edges = lines_of_cells[:, 0] + (lines_of_cells[:, 1] - lines_of_cells[:, 0]) * x
        across, along = edges[0] + (edges[1] - edges[0]) * y
        return np.asarray(across * lines[4] + along * lines[5])
