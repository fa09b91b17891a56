"""What was found in one image: that which every format writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.pose.keypoints import Floats, Poses
from zoo.pose.skeletons import SKELETONS


@dataclass(frozen=True, eq=False)
class Prediction:
    """The poses of one image. Raises ZooError where they are not of the skeleton that is named."""

    image: str
    """The image's file name, as it shall be written; never empty."""
    size: tuple[int, int]
    """(width, height) of the image in pixels."""
    skeleton: str
    """A name of `zoo.pose.skeletons`."""
    poses: Poses

    def __post_init__(self) -> None:
        if not self.image:
            raise ZooError("a prediction has no image name", "every line and every record of a file names its image")
        if self.skeleton not in SKELETONS:
            raise ZooError(f"there is no skeleton {self.skeleton!r}", f"there are: {', '.join(SKELETONS)}")
        count = len(SKELETONS[self.skeleton].keypoints)
        if self.poses.keypoints.shape[1] != count:
            raise ZooError(
                f"{self.skeleton} has {count} keypoints, these poses have {self.poses.keypoints.shape[1]}",
                "name the skeleton of the decoder that made them",
            )

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N, K) the keypoints that can be written: whatever of them is infinite or NaN counts as absent."""
        return np.asarray(np.isfinite(self.poses.keypoints).all(axis=2) & np.isfinite(self.poses.scores))


def poses_of(keypoints: Floats, scores: Floats) -> Poses:
    """Poses (N, K, 2) with scores (N, K), from a format that says nothing of people's boxes and scores: the box is the hull of
    the keypoints, the score their mean. Someone without any has a box of nan and the score 0."""
    present = np.isfinite(keypoints[..., 0])
    some = present.any(axis=1)
    boxes, ranks = np.full((len(keypoints), 4), np.nan), np.zeros(len(keypoints))
    if some.any():
        boxes[some] = Poses.of(keypoints[some], scores[some], ranks[some]).boxes
        ranks[some] = np.where(present, scores, 0)[some].sum(axis=1) / present[some].sum(axis=1)
    return Poses(keypoints, scores, boxes, ranks)
