"""What a network is to say: heatmaps of keypoints and part affinity fields of limbs (Cao et al., 2017), on its grid."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.limbs import FIELDS, KEYPOINTS, OPENPOSE_18_LIMBS
from zoo.record import Record

Maps = NDArray[np.float32]
_Floats = NDArray[np.float64]
_Whole = NDArray[np.int64]

#: a gaussian's values under it are left away
LEAST = 0.01
#: of each limb: where it begins, where it ends, and its field's first channel
_FROM, _TO, _CHANNEL = (np.array([getattr(limb, name) for limb in OPENPOSE_18_LIMBS]) for name in ("a", "b", "channel"))
#: ends of a limb that are nearer, in cells, have no direction
_SAME = 1e-7


class Targets(Record, frozen=True, kw_only=True):
    """How the maps are drawn. The defaults are Lightweight OpenPose's, which its goldens prove; MindSpore's OpenPose has
    `people: max`, `limbs: mean`, `region: band`, and keeps the hundredth of a gaussian that is cut off here."""

    stride: Annotated[int, Meta(description="Pixels of the input for one cell: the architecture's.", ge=1)] = 8
    sigma: Annotated[float, Meta(description="Standard deviation of a keypoint's gaussian, in pixels of the input.", gt=0)] = 7.0
    width: Annotated[
        float, Meta(description="Cells at most so far from a limb's line carry its direction, in pixels of the input.", gt=0)
    ] = 8.0
    region: Annotated[
        Literal["box", "band"],
        Meta(
            description="Which cells near its line a limb has. box: those whose first pixel lies in the upright box around its ends, "
            "larger by `width`, as Lightweight OpenPose has it; band: those whose centre lies between its ends, as in the paper."
        ),
    ] = "box"
    people: Annotated[
        Literal["sum", "max"], Meta(description="Where gaussians of one kind meet: their sum, at most 1, or the greater of them.")
    ] = "sum"
    limbs: Annotated[Literal["last", "mean"], Meta(description="Where limbs of one kind meet: the later person's, or the mean.")] = "last"

    def maps(self, people: NDArray[Any], height: int, width: int) -> tuple[Maps, Maps]:
        """`people` (P, 18, 3) x, y in pixels of the input and v, over 0 where a keypoint is annotated, in the order of
        `openpose_18` -> heatmaps (19, h, w) and part affinity fields (38, h, w), h = height // stride, w = width // stride.

        The last heatmap is the background, 1 less the greatest of the others. A field's channels are those of
        `OPENPOSE_18_LIMBS`: unit vectors from `a` to `b`. Keypoints may lie outside of the input. A cell of the heatmaps stands for
        its centre, pixel stride * i + (stride - 1) / 2; one of the fields for its first pixel, or its centre in a `band`."""
        grid = height // self.stride, width // self.stride
        people = np.asarray(people, np.float64).reshape(-1, KEYPOINTS, 3)
        return self._heatmaps(people, grid), self._fields(people, grid)

    @property
    def _centre(self) -> float:
        """Where a cell's centre is, in pixels from its first."""
        return (self.stride - 1) / 2

    def _heatmaps(self, people: _Floats, grid: tuple[int, int]) -> Maps:
        rows, columns = grid
        who, kind = np.nonzero(people[..., 2] > 0)
        row, down = self._bells(people[who, kind, 1], rows)
        column, across = self._bells(people[who, kind, 0], columns)
        values = down[:, :, None] * across[:, None, :]
        drawn = values >= LEAST
        cells = ((kind[:, None] * rows + row)[:, :, None] * columns + column[:, None, :])[drawn]
        size = KEYPOINTS * rows * columns
        if self.people == "sum":
            found = np.minimum(np.bincount(cells, values[drawn], size), 1)
        else:
            found = np.zeros(size)
            np.maximum.at(found, cells, values[drawn])
        maps = np.empty((KEYPOINTS + 1, rows, columns), np.float32)
        maps[:-1] = found.reshape(KEYPOINTS, rows, columns)
        np.subtract(1, maps[:-1].max(axis=0), out=maps[-1])
        return maps

    def _bells(self, at: _Floats, length: int) -> tuple[_Whole, _Floats]:
        """Along one axis, of gaussians around the pixels `at` (N,): the cells that they reach (N, k), and what they are there
        (N, k), 0 outside of the grid's `length` cells."""
        reach = self.sigma * math.sqrt(-2 * math.log(LEAST))
        first = np.ceil((at - reach - self._centre) / self.stride).astype(np.int64)
        cells = first[:, None] + np.arange(int(2 * reach / self.stride) + 1)
        away = (cells * self.stride + self._centre - at[:, None]) / self.sigma
        return cells, np.where((cells >= 0) & (cells < length), np.exp(away * away / -2), 0)

    def _fields(self, people: _Floats, grid: tuple[int, int]) -> Maps:
        """Person by person, so that of what is written twice the later person's stays."""
        limb, start, end = self._limbs(people)
        way = end - start
        length = np.sqrt((way * way).sum(axis=1))
        unit = way / length[:, None]
        of, column, row = self._near(start, end, grid)
        offset = self._centre / self.stride if self.region == "band" else 0.0
        x, y = column + offset - start[of, 0], row + offset - start[of, 1]
        drawn = np.abs(x * unit[of, 1] - y * unit[of, 0]) <= self.width / self.stride
        if self.region == "band":
            along = x * unit[of, 0] + y * unit[of, 1]
            drawn &= (along >= 0) & (along <= length[of])
        of, size = of[drawn], grid[0] * grid[1]
        first = _CHANNEL[limb[of]] * size + row[drawn] * grid[1] + column[drawn]
        cells, values = np.concatenate([first, first + size]), unit[of].T.ravel()
        fields = np.zeros(FIELDS * size, np.float32)
        if self.limbs == "last":
            fields[cells] = values
        else:
            fields[:] = np.bincount(cells, values, len(fields)) / np.maximum(np.bincount(cells, minlength=len(fields)), 1)
        return fields.reshape(FIELDS, *grid)

    def _limbs(self, people: _Floats) -> tuple[_Whole, _Floats, _Floats]:
        """Of the L limbs that have both ends, and a direction: which each is, and its ends (L, 2), in cells."""
        start, end = people[:, _FROM] / self.stride, people[:, _TO] / self.stride
        apart = np.sqrt(((end - start)[..., :2] ** 2).sum(axis=-1)) >= _SAME
        who, limb = np.nonzero((start[..., 2] > 0) & (end[..., 2] > 0) & apart)
        return limb, start[who, limb, :2], end[who, limb, :2]

    def _near(self, start: _Floats, end: _Floats, grid: tuple[int, int]) -> tuple[_Whole, _Whole, _Whole]:
        """The cells in the boxes around limbs, larger by `width`: of which limb each is, its column, its row."""
        width = self.width / self.stride
        # Lightweight OpenPose rounds so: the first cell may begin before its box, and the last does not begin in the box's last one
        last = 1 if self.region == "band" else 0
        low = np.floor(np.maximum(np.minimum(start, end) - width, 0)).astype(np.int64)
        high = np.floor(np.minimum(np.maximum(start, end) + width + last, grid[::-1])).astype(np.int64)
        across, down = np.maximum(high - low, 0).T
        count = across * down
        of = np.repeat(np.arange(len(count)), count)
        row, column = np.divmod(np.arange(len(of)) - (np.cumsum(count) - count)[of], across[of])
        return of, column + low[of, 0], row + low[of, 1]
