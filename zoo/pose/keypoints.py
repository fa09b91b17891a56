"""`Poses`: what every decoder returns and everything else reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Poses:
    """N people with K keypoints each, in image pixels (x right, y down, the centre of the first pixel is 0, 0).

    An absent keypoint is (nan, nan) with score 0. Order of the keypoints: the decoder's `skeleton`.
    """

    keypoints: Floats
    """(N, K, 2) x, y in image pixels."""
    scores: Floats
    """(N, K) keypoint scores."""
    boxes: Floats
    """(N, 4) x1, y1, x2, y2: the hull of the present keypoints; or the detector's box, counted as COCO's annotations are, from the
    left and upper edge of the first pixel."""
    instance_scores: Floats
    """(N,) what the protocol ranks a person by."""

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, K) which keypoints were found."""
        return ~np.isnan(self.keypoints[..., 0])

    @classmethod
    def of(cls, keypoints: Floats, scores: Floats, instance_scores: Floats) -> Poses:
        """Poses whose boxes are the hulls of their present keypoints: of nan where a skeleton has none."""
        people, count = keypoints.shape[:2]
        if not people:
            return cls(np.zeros((0, count, 2)), np.zeros((0, count)), np.zeros((0, 4)), np.zeros(0))
        if not count:
            return cls(keypoints, scores, np.full((people, 4), np.nan), instance_scores)
        # these pass nan over as np.nanmin does, which takes five times as long to begin
        boxes = np.concatenate([np.fmin.reduce(keypoints, axis=1), np.fmax.reduce(keypoints, axis=1)], axis=1)
        return cls(keypoints, scores, boxes, instance_scores)

    @classmethod
    def of_boxes(cls, boxes: Floats, scores: Floats) -> Poses:
        """People of whom nothing but their boxes (N, 4) and scores (N,) is known: they have no keypoints."""
        return cls(np.zeros((len(boxes), 0, 2)), np.zeros((len(boxes), 0)), boxes, scores)

    def reordered(self, order: list[int]) -> Poses:
        """The same people with keypoint `order[i]` at place i."""
        return Poses(self.keypoints[:, order], self.scores[:, order], self.boxes, self.instance_scores)
