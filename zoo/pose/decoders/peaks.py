"""From heatmaps to candidate keypoints. Each way is declared as `peaks: {type: ...}` of a decoder."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from zoo.pose.decoders.candidates import MOST, Candidates, strongest
from zoo.pose.decoders.gaussian import Gaussian
from zoo.pose.decoders.maps import Maps
from zoo.pose.decoders.refine import direction
from zoo.record import Choice

Places = NDArray[np.intp] | NDArray[np.floating]
Threshold = Annotated[float, Meta(description="A maximum of a heatmap below this is no keypoint.", ge=0)]


class FourNeighbours(Choice, frozen=True, kw_only=True, tag="four_neighbours"):
    """A pixel strictly above its four neighbours (outside the map is 0). Going from left to right, and down within a
    column, each one kept removes those after it that are nearer than `distance`.

    Source: Lightweight OpenPose, `extract_keypoints`; the same in Open Model Zoo's accuracy checker.
    """

    threshold: Threshold = 0.1
    distance: Annotated[float, Meta(description="Two keypoints of a kind are no nearer than this, in pixels of the map.", ge=0)] = 6

    def find(self, heatmaps: Maps) -> Candidates:
        """heatmaps (H, W, K) -> candidates at whole pixels."""
        value, y, x, kind = _above(heatmaps, np.float32(self.threshold), strictly=False)
        framed = np.pad(heatmaps, ((1, 1), (1, 1), (0, 0)))
        beside = [framed[y + 1 + down, x + 1 + right, kind] for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        peak = np.logical_and.reduce([value > other for other in beside])
        value, y, x, kind = value[peak], y[peak], x[peak], kind[peak]
        order = np.lexsort((y, x, kind))
        value, y, x, kind = value[order], y[order], x[order], kind[order]
        kept = np.flatnonzero(self.apart(x, y, kind))
        kept = kept[strongest(value[kept], kind[kept], MOST)]
        return Candidates.of(x[kept], y[kept], value[kept], kind[kept], heatmaps.shape[2])

    def apart(self, x: Places, y: Places, kind: NDArray[np.intp]) -> NDArray[np.bool_]:
        """x, y and kind (M,) of maxima, sorted by kind and then x -> which of them are kept (M,)."""
        kept = np.ones(len(x), dtype=bool)
        # x never falls within a kind, so what i can remove ends where x or the kind has gone on too far
        wide = int(x.max(initial=0)) + int(self.distance) + 2
        along = kind * wide + x
        ends = np.searchsorted(along, along + self.distance)
        for i in np.flatnonzero(ends - np.arange(len(x)) > 1):
            if kept[i]:
                later = slice(i + 1, ends[i])
                kept[later] &= np.hypot(x[later] - x[i], y[later] - y[i]) >= self.distance
        return kept


class MaxPool(Choice, frozen=True, kw_only=True, tag="max_pool"):
    """A pixel that is the greatest of a square around it, moved a quarter of a pixel to its higher neighbours.

    Plateaus give a peak a pixel. Source: Open Model Zoo, `human_pose_estimation_openpose` adapter and Model API
    (`kernel` there is 2 round(6/7 upsample) + 1; `centre` is 0.5 on maps that are not enlarged and 0 on others).
    """

    threshold: Threshold = 0.1
    kernel: Annotated[int, Meta(description="Side of the square, odd, in pixels of the map.", ge=3, le=99)] = 3
    top: Annotated[int, Meta(description="At most so many candidates of a kind: the highest.", ge=1, le=MOST)] = 100
    shift: Annotated[float, Meta(description="Towards the higher neighbour on each axis, in pixels of the map.", ge=0, le=0.5)] = 0.25
    centre: Annotated[float, Meta(description="Added to both coordinates, in pixels of the map.", ge=0, le=0.5)] = 0.5

    def find(self, heatmaps: Maps) -> Candidates:
        """heatmaps (H, W, K) -> candidates at fractions of pixels."""
        import cv2

        height, width, kinds = heatmaps.shape
        pooled = cv2.dilate(np.ascontiguousarray(heatmaps), np.ones((self.kernel, self.kernel), np.uint8)).reshape(heatmaps.shape)
        value, y, x, kind = _above(heatmaps, np.float32(self.threshold), strictly=True)
        peak = pooled[y, x, kind] == value
        value, y, x, kind = value[peak], y[peak], x[peak], kind[peak]
        top = strongest(value, kind, self.top)
        value, y, x, kind = value[top], y[top], x[top], kind[top]
        order = np.lexsort((-value, kind))
        value, y, x, kind = value[order], y[order], x[order], kind[order]
        inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
        left, right, up, down = (np.where(inside, step, 0) for step in (-1, 1, -1, 1))
        dx = direction(heatmaps[y, x + left, kind], heatmaps[y, x + right, kind])
        dy = direction(heatmaps[y + up, x, kind], heatmaps[y + down, x, kind])
        across = np.clip(x + dx * self.shift + self.centre, 0, width - 1)
        along = np.clip(y + dy * self.shift + self.centre, 0, height - 1)
        return Candidates.of(across, along, value, kind, kinds)


Peaks = FourNeighbours | MaxPool | Gaussian

Found = tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def _above(heatmaps: Maps, threshold: np.float32, strictly: bool) -> Found:
    """value, y, x, kind of the few pixels that can be keypoints at all; NaN never can."""
    y, x, kind = np.nonzero(heatmaps > threshold if strictly else heatmaps >= threshold)
    return heatmaps[y, x, kind], y, x, kind
